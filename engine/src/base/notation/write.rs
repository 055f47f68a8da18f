//! The writing half: a serde serializer.

use super::*;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

type Result<T = ()> = std::result::Result<T, NotationError>;

pub(super) struct Writer<'a> {
    to: &'a mut Vec<u8>,
    begun: Depth,
    /// Where the key began that was written last.
    entry: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(to: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { to, begun: Depth::begin(), entry: 0 }
    }

    /// Writes a value, or nothing: who writes many may leave out one that fails.
    #[inline]
    fn whole<T: Serialize + ?Sized>(&mut self, from: usize, value: &T) -> Result {
        value.serialize(&mut *self).inspect_err(|_| self.to.truncate(from))
    }

    #[inline]
    fn tagged<const N: usize>(&mut self, tag: u8, bytes: [u8; N]) {
        self.to.push(tag);
        self.to.extend_from_slice(&bytes);
    }

    #[inline]
    fn unsigned(&mut self, value: u64) {
        match value {
            0..0x80 => self.to.push(value as u8),
            0x80..0x100 => self.tagged(U8, [value as u8]),
            0x100..0x1_0000 => self.tagged(U16, (value as u16).to_le_bytes()),
            0x1_0000..0x1_0000_0000 => self.tagged(U32, (value as u32).to_le_bytes()),
            _ => self.tagged(U64, value.to_le_bytes()),
        }
    }

    #[inline]
    fn signed(&mut self, value: i64) {
        if value >= 0 {
            return self.unsigned(value as u64);
        }
        match value {
            -0x80.. => self.tagged(I8, (value as i8).to_le_bytes()),
            -0x8000.. => self.tagged(I16, (value as i16).to_le_bytes()),
            -0x8000_0000.. => self.tagged(I32, (value as i32).to_le_bytes()),
            _ => self.tagged(I64, value.to_le_bytes()),
        }
    }

    #[inline]
    fn len(&mut self, len: usize) {
        match u8::try_from(len) {
            Ok(short) if short < LONG => self.to.push(short),
            _ => self.tagged(LONG, (len as u64).to_le_bytes()),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.to.extend_from_slice(bytes);
    }

    fn many(&mut self, tag: u8, about: Option<usize>) -> Result<Writer<'_>> {
        self.begun.check()?;
        self.to.push(tag);
        self.len(about.unwrap_or(0));
        Ok(Writer { to: self.to, ..*self })
    }

    fn name(&mut self, tag: u8, name: &str) {
        self.to.push(tag);
        self.bytes(name.as_bytes());
    }

    fn close(self) -> Result {
        self.to.push(END);
        Ok(())
    }
}

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = NotationError;
    type SerializeSeq = Writer<'w>;
    type SerializeTuple = Writer<'w>;
    type SerializeTupleStruct = Writer<'w>;
    type SerializeTupleVariant = Writer<'w>;
    type SerializeMap = Writer<'w>;
    type SerializeStruct = Writer<'w>;
    type SerializeStructVariant = Writer<'w>;

    fn is_human_readable(&self) -> bool {
        true
    }
    fn serialize_bool(self, value: bool) -> Result {
        self.to.push(if value { TRUE } else { FALSE });
        Ok(())
    }
    fn serialize_i8(self, value: i8) -> Result {
        self.serialize_i64(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result {
        self.serialize_i64(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result {
        self.serialize_i64(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result {
        self.signed(value);
        Ok(())
    }
    fn serialize_i128(self, value: i128) -> Result {
        self.tagged(I128, value.to_le_bytes());
        Ok(())
    }
    fn serialize_u8(self, value: u8) -> Result {
        self.serialize_u64(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result {
        self.serialize_u64(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result {
        self.serialize_u64(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result {
        self.unsigned(value);
        Ok(())
    }
    fn serialize_u128(self, value: u128) -> Result {
        self.tagged(U128, value.to_le_bytes());
        Ok(())
    }
    fn serialize_f32(self, value: f32) -> Result {
        self.tagged(F32, value.to_le_bytes());
        Ok(())
    }
    fn serialize_f64(self, value: f64) -> Result {
        self.tagged(F64, value.to_le_bytes());
        Ok(())
    }
    fn serialize_char(self, value: char) -> Result {
        self.tagged(CHAR, u32::from(value).to_le_bytes());
        Ok(())
    }
    fn serialize_str(self, value: &str) -> Result {
        self.name(TEXT, value);
        Ok(())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result {
        self.to.push(BYTES);
        self.bytes(value);
        Ok(())
    }
    fn serialize_none(self) -> Result {
        self.to.push(NONE);
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        self.begun.check()?;
        self.to.push(SOME);
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result {
        self.to.push(UNIT);
        Ok(())
    }
    fn serialize_unit_struct(self, _name: &'static str) -> Result {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result {
        self.name(UNIT_VARIANT, variant);
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        self.begun.check()?;
        self.name(VARIANT, variant);
        value.serialize(self)
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<Writer<'w>> {
        self.many(LIST, len)
    }
    fn serialize_tuple(self, len: usize) -> Result<Writer<'w>> {
        self.serialize_seq(Some(len))
    }
    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Writer<'w>> {
        self.serialize_seq(Some(len))
    }
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Writer<'w>> {
        self.name(VARIANT, variant);
        self.serialize_seq(Some(len))
    }
    fn serialize_map(self, len: Option<usize>) -> Result<Writer<'w>> {
        self.many(MAP, len)
    }
    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Writer<'w>> {
        self.many(FIELDS, Some(len))
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Writer<'w>> {
        self.name(VARIANT, variant);
        self.serialize_struct(name, len)
    }
}

macro_rules! items {
    ($($kind:ident $put:ident)*) => { $(
        impl $kind for Writer<'_> {
            type Ok = ();
            type Error = NotationError;
            fn $put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.whole(self.to.len(), value)
            }
            fn end(self) -> Result {
                self.close()
            }
        }
    )* };
}
items! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! fields {
    ($($kind:ident)*) => { $(
        impl $kind for Writer<'_> {
            type Ok = ();
            type Error = NotationError;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
                let before = self.to.len();
                self.bytes(name.as_bytes());
                self.whole(before, value)
            }
            fn end(self) -> Result {
                self.close()
            }
        }
    )* };
}
fields! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Writer<'_> {
    type Ok = ();
    type Error = NotationError;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.entry = self.to.len();
        self.whole(self.entry, key)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.whole(self.entry, value)
    }
    fn end(self) -> Result {
        self.close()
    }
}
