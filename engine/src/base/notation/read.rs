//! The reading half: a serde deserializer.

use super::*;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

type Result<T> = std::result::Result<T, NotationError>;

/// Values inside of each other, where the bytes and not the type say how many there are.
const MAX_DEPTH: u32 = 512;

pub(super) struct Reader<'de> {
    rest: &'de [u8],
    depth: u32,
    begun: Depth,
}

fn early() -> NotationError {
    NotationError("its bytes end too early".into())
}

impl<'de> Reader<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Reader<'de> {
        Reader { rest: bytes, depth: 0, begun: Depth::begin() }
    }

    /// That nothing is left.
    pub(super) fn end(&self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(NotationError(format!("{left} bytes follow the value"))),
        }
    }

    #[inline]
    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(early)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk().ok_or_else(early)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    fn len(&mut self) -> Result<usize> {
        match self.byte()? {
            LONG => usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| early()),
            END => Err(NotationError("a length is missing in its bytes".into())),
            short => Ok(short.into()),
        }
    }

    fn bytes(&mut self) -> Result<&'de [u8]> {
        let len = self.len()?;
        let (first, rest) = self.rest.split_at_checked(len).ok_or_else(early)?;
        self.rest = rest;
        Ok(first)
    }

    fn text(&mut self) -> Result<&'de str> {
        std::str::from_utf8(self.bytes()?).map_err(NotationError::custom)
    }

    /// Whether there is another value, or name, before the end.
    #[inline]
    fn has_more(&self) -> Result<bool> {
        self.rest.first().map(|byte| *byte != END).ok_or_else(early)
    }

    /// Itself, for values inside of this one.
    #[inline]
    fn inside(&mut self) -> Result<&mut Self> {
        self.begun.check().map(|()| self)
    }

    /// Runs `visit` on what stands up to the next end, all of which it must take.
    fn many<T>(&mut self, visit: impl FnOnce(Many<'_, 'de>) -> Result<T>) -> Result<T> {
        self.begun.check()?;
        let about = self.len()?.min(self.rest.len());
        let value = visit(Many { reader: self, about, has_names: false })?;
        match self.byte()? {
            END => Ok(value),
            _ => Err(NotationError("more was written than its type reads".into())),
        }
    }

    /// The next value, whatever it is.
    fn value<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.byte()? {
            small @ 0..0x80 => visitor.visit_u64(small.into()),
            UNIT => visitor.visit_unit(),
            FALSE => visitor.visit_bool(false),
            TRUE => visitor.visit_bool(true),
            NONE => visitor.visit_none(),
            SOME => visitor.visit_some(self.inside()?),
            U8 => visitor.visit_u64(self.byte()?.into()),
            U16 => visitor.visit_u64(u16::from_le_bytes(self.array()?).into()),
            U32 => visitor.visit_u64(u32::from_le_bytes(self.array()?).into()),
            U64 => visitor.visit_u64(u64::from_le_bytes(self.array()?)),
            U128 => visitor.visit_u128(u128::from_le_bytes(self.array()?)),
            I8 => visitor.visit_i64(i8::from_le_bytes(self.array()?).into()),
            I16 => visitor.visit_i64(i16::from_le_bytes(self.array()?).into()),
            I32 => visitor.visit_i64(i32::from_le_bytes(self.array()?).into()),
            I64 => visitor.visit_i64(i64::from_le_bytes(self.array()?)),
            I128 => visitor.visit_i128(i128::from_le_bytes(self.array()?)),
            F32 => visitor.visit_f32(f32::from_le_bytes(self.array()?)),
            F64 => visitor.visit_f64(f64::from_le_bytes(self.array()?)),
            CHAR => {
                let number = u32::from_le_bytes(self.array()?);
                let value = char::from_u32(number);
                visitor.visit_char(value.ok_or_else(|| NotationError(format!("{number} is no char")))?)
            }
            TEXT | UNIT_VARIANT => visitor.visit_borrowed_str(self.text()?),
            BYTES => visitor.visit_borrowed_bytes(self.bytes()?),
            LIST => self.many(|many| visitor.visit_seq(many)),
            MAP => self.many(|many| visitor.visit_map(many)),
            FIELDS => self.many(|many| visitor.visit_map(Many { has_names: true, ..many })),
            // As other self-describing formats have it: a map of one.
            VARIANT => visitor.visit_map(One { name: Some(self.text()?), reader: self.inside()? }),
            other => Err(NotationError(format!("a value cannot begin with the byte {other:#x}"))),
        }
    }
}

macro_rules! by_what_is_there {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.value(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = NotationError;

    fn is_human_readable(&self) -> bool {
        true
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.depth >= MAX_DEPTH {
            let what = "values of a type that takes whatever comes are nested deeper than";
            return Err(NotationError(format!("{what} {MAX_DEPTH}")));
        }
        self.depth += 1;
        let value = self.value(visitor);
        self.depth -= 1;
        value
    }

    by_what_is_there! {
        deserialize_bool deserialize_char deserialize_f32 deserialize_f64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.value(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.value(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.rest.first() {
            Some(&(NONE | SOME)) => self.value(visitor),
            // Written by other code than that of an `Option`.
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        self.value(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.value(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.value(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.value(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.byte()? {
            UNIT_VARIANT | TEXT => visitor.visit_enum(BorrowedStrDeserializer::new(self.text()?)),
            VARIANT => visitor.visit_enum(One { name: Some(self.text()?), reader: self.inside()? }),
            _ => Err(NotationError(format!("what was written is no variant of the enum `{name}`"))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }
}

/// Items of a list, or keys and values, up to the end.
struct Many<'r, 'de> {
    reader: &'r mut Reader<'de>,
    about: usize,
    /// Keys are bare names.
    has_names: bool,
}

impl<'de> SeqAccess<'de> for Many<'_, 'de> {
    type Error = NotationError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.reader.has_more()? {
            return Ok(None);
        }
        self.about = self.about.saturating_sub(1);
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.about)
    }
}

impl<'de> MapAccess<'de> for Many<'_, 'de> {
    type Error = NotationError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.reader.has_more()? {
            return Ok(None);
        }
        self.about = self.about.saturating_sub(1);
        match self.has_names {
            true => seed.deserialize(BorrowedStrDeserializer::new(self.reader.text()?)).map(Some),
            false => seed.deserialize(&mut *self.reader).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.about)
    }
}

/// A variant with a value: a choice of an enum, or a map of one.
struct One<'r, 'de> {
    name: Option<&'de str>,
    reader: &'r mut Reader<'de>,
}

impl<'de> MapAccess<'de> for One<'_, 'de> {
    type Error = NotationError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.name.take().map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> EnumAccess<'de> for One<'_, 'de> {
    type Error = NotationError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<(S::Value, Self)> {
        let name = self.name.take().unwrap_or_default();
        Ok((seed.deserialize(BorrowedStrDeserializer::new(name))?, self))
    }
}

impl<'de> VariantAccess<'de> for One<'_, 'de> {
    type Error = NotationError;

    fn unit_variant(self) -> Result<()> {
        Err(NotationError("a variant with a value was written where one without is read".into()))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.reader.value(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.reader.value(visitor)
    }
}
