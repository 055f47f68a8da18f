//! Ready-made hosted objects: list, dict, namespace, counter, value.

use super::error::CallError;
use super::hosted::Hosted;
use crate::base::notation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Makes a proxy over a hosted object.
macro_rules! proxy {
    ($(#[$doc:meta])* $name:ident $(<$($param:ident),+>)?, $object:ty) => {
        $(#[$doc])*
        #[derive(Serialize, Deserialize)]
        #[serde(bound = "")]
        pub struct $name $(<$($param),+>)? {
            hosted: Hosted<$object>,
        }

        impl$(<$($param),+>)? $name$(<$($param),+>)? {
            pub(super) fn of(hosted: Hosted<$object>) -> Self {
                Self { hosted }
            }

            /// Returns the hosted object itself, for calls of your own that are atomic for all others.
            pub fn hosted(&self) -> &Hosted<$object> {
                &self.hosted
            }
        }

        impl$(<$($param),+>)? Clone for $name$(<$($param),+>)? {
            fn clone(&self) -> Self {
                Self { hosted: self.hosted.clone() }
            }
        }

        impl$(<$($param),+>)? std::fmt::Debug for $name$(<$($param),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.hosted.fmt(f)
            }
        }
    };
}

proxy! {
    /// A list that all processes of the program share; made by [`Manager::list`](crate::Manager::list).
    ///
    /// Each method is one call, and so atomic for all others; a sequence of calls is not. Use
    /// [`hosted`](ListProxy::hosted) for that. Every method returns [`CallError`] as [`Hosted::call`] does.
    ///
    /// ```
    /// let manager = phalanx::Manager::new()?;
    /// let list = manager.list::<i32>()?;
    /// list.extend(vec![1, 2, 3, 4])?;
    /// list.push(5)?;
    /// assert_eq!((list.len()?, list.get(1)?, list.pop()?), (5, Some(2), Some(5)));
    /// let sum = list.hosted().call(|list, ()| list.iter().sum::<i32>(), ())?;
    /// assert_eq!(sum, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ListProxy<E>, Vec<E>
}

impl<E: Serialize + DeserializeOwned + 'static> ListProxy<E> {
    /// Appends a value.
    #[doc(alias = "append")]
    pub fn push(&self, value: E) -> Result<(), CallError> {
        self.hosted.call(|list, value| list.push(value), value)
    }

    /// Appends several values in one call, so that they stay together.
    pub fn extend(&self, values: Vec<E>) -> Result<(), CallError> {
        self.hosted.call(|list, values: Vec<E>| list.extend(values), values)
    }

    /// Removes the last value and returns it.
    pub fn pop(&self) -> Result<Option<E>, CallError> {
        self.hosted.call(|list, ()| list.pop(), ())
    }

    /// Replaces the value at an index and returns the old one. Does nothing and returns `None` if the index
    /// is out of range.
    pub fn set(&self, index: usize, value: E) -> Result<Option<E>, CallError> {
        self.hosted.call(
            |list, (index, value): (usize, E)| list.get_mut(index).map(|slot| std::mem::replace(slot, value)),
            (index, value),
        )
    }

    /// Removes the value at an index and returns it, if the index is in range.
    pub fn remove(&self, index: usize) -> Result<Option<E>, CallError> {
        self.hosted.call(|list, index: usize| (index < list.len()).then(|| list.remove(index)), index)
    }

    /// Returns the number of values.
    pub fn len(&self) -> Result<usize, CallError> {
        self.hosted.call(|list, ()| list.len(), ())
    }

    /// Returns whether the list is empty.
    pub fn is_empty(&self) -> Result<bool, CallError> {
        Ok(self.len()? == 0)
    }

    /// Removes all values.
    pub fn clear(&self) -> Result<(), CallError> {
        self.hosted.call(|list, ()| list.clear(), ())
    }
}

impl<E: Serialize + DeserializeOwned + 'static + Clone> ListProxy<E> {
    /// Returns the value at an index, if the index is in range.
    pub fn get(&self, index: usize) -> Result<Option<E>, CallError> {
        self.hosted.call(|list, index: usize| list.get(index).cloned(), index)
    }

    /// Returns a copy of all current values.
    pub fn to_vec(&self) -> Result<Vec<E>, CallError> {
        self.hosted.call(|list, ()| list.clone(), ())
    }
}

proxy! {
    /// A sorted map that all processes of the program share; made by [`Manager::dict`](crate::Manager::dict).
    ///
    /// Each method is one call. For several steps at once use [`hosted`](DictProxy::hosted). Every method
    /// returns [`CallError`] as [`Hosted::call`] does.
    ///
    /// ```
    /// let manager = phalanx::Manager::new()?;
    /// let words = manager.dict::<String, u32>()?;
    /// words.insert("a".into(), 1)?;
    /// words.hosted().call(|words, word: String| *words.entry(word).or_default() += 1, "a".into())?;
    /// assert_eq!(words.items()?, [("a".to_string(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    DictProxy<K, V>, BTreeMap<K, V>
}

impl<K: Serialize + DeserializeOwned + 'static + Ord, V: Serialize + DeserializeOwned + 'static>
    DictProxy<K, V>
{
    /// Inserts a value under a key and returns the old one.
    pub fn insert(&self, key: K, value: V) -> Result<Option<V>, CallError> {
        self.hosted.call(|dict, (key, value): (K, V)| dict.insert(key, value), (key, value))
    }

    /// Removes a key and returns its value.
    pub fn remove(&self, key: K) -> Result<Option<V>, CallError> {
        self.hosted.call(|dict, key: K| dict.remove(&key), key)
    }

    /// Returns whether the key exists.
    pub fn contains_key(&self, key: K) -> Result<bool, CallError> {
        self.hosted.call(|dict, key: K| dict.contains_key(&key), key)
    }

    /// Returns the number of keys.
    pub fn len(&self) -> Result<usize, CallError> {
        self.hosted.call(|dict, ()| dict.len(), ())
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> Result<bool, CallError> {
        Ok(self.len()? == 0)
    }

    /// Removes all keys.
    pub fn clear(&self) -> Result<(), CallError> {
        self.hosted.call(|dict, ()| dict.clear(), ())
    }
}

impl<
    K: Serialize + DeserializeOwned + 'static + Ord + Clone,
    V: Serialize + DeserializeOwned + 'static + Clone,
> DictProxy<K, V>
{
    /// Returns the value of a key.
    pub fn get(&self, key: K) -> Result<Option<V>, CallError> {
        self.hosted.call(|dict, key: K| dict.get(&key).cloned(), key)
    }

    /// Returns all current keys.
    pub fn keys(&self) -> Result<Vec<K>, CallError> {
        self.hosted.call(|dict, ()| dict.keys().cloned().collect(), ())
    }

    /// Returns all current values, in the order of their keys.
    pub fn values(&self) -> Result<Vec<V>, CallError> {
        self.hosted.call(|dict, ()| dict.values().cloned().collect(), ())
    }

    /// Returns all current keys and values.
    pub fn items(&self) -> Result<Vec<(K, V)>, CallError> {
        self.hosted.call(|dict, ()| dict.clone().into_iter().collect(), ())
    }
}

/// What a namespace holds: each value written down.
pub(super) type Names = BTreeMap<String, Vec<u8>>;

proxy! {
    /// Named values of any type that all processes of the program share; made by
    /// [`Manager::namespace`](crate::Manager::namespace).
    ///
    /// ```
    /// let manager = phalanx::Manager::new()?;
    /// let settings = manager.namespace()?;
    /// settings.set("rate", &0.5f64)?;
    /// settings.set("names", &vec!["a".to_string()])?;
    /// assert_eq!(settings.get::<f64>("rate")?, Some(0.5));
    /// assert_eq!(settings.names()?, ["names", "rate"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    NamespaceProxy, Names
}

impl NamespaceProxy {
    /// Sets the value of a name.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn set<V: Serialize + DeserializeOwned + 'static>(
        &self,
        name: &str,
        value: &V,
    ) -> Result<(), CallError> {
        let bytes =
            notation::to_vec(value).map_err(|error| CallError::Arguments { why: error.to_string() })?;
        self.hosted.call(
            |names, (name, bytes): (String, Vec<u8>)| drop(names.insert(name, bytes)),
            (name.to_string(), bytes),
        )
    }

    /// Returns the value of a name, read as the type it was set with.
    ///
    /// # Errors
    /// - [`CallError::Value`] if it cannot be read as a `V`. A value of another type may also be read as
    ///   nonsense without an error.
    /// - Otherwise see [`CallError`].
    pub fn get<V: Serialize + DeserializeOwned + 'static>(&self, name: &str) -> Result<Option<V>, CallError> {
        let bytes = self.hosted.call(|names, name: String| names.get(&name).cloned(), name.to_string())?;
        let read = |bytes: Vec<u8>| notation::read(&bytes);
        bytes.map(read).transpose().map_err(|error| CallError::Value { why: error.to_string() })
    }

    /// Removes a name. Returns whether it existed.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn remove(&self, name: &str) -> Result<bool, CallError> {
        self.hosted.call(|names, name: String| names.remove(&name).is_some(), name.to_string())
    }

    /// Returns all names, sorted.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn names(&self) -> Result<Vec<String>, CallError> {
        self.hosted.call(|names, ()| names.keys().cloned().collect(), ())
    }
}

proxy! {
    /// A number that all processes of the program share; made by
    /// [`Manager::counter`](crate::Manager::counter).
    CounterProxy, i64
}

impl CounterProxy {
    /// Adds to the number, wrapping around at the limits, and returns the old value.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn add(&self, amount: i64) -> Result<i64, CallError> {
        self.hosted.call(|count, amount: i64| std::mem::replace(count, count.wrapping_add(amount)), amount)
    }

    /// Returns the current number.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn get(&self) -> Result<i64, CallError> {
        self.hosted.call(|count, ()| *count, ())
    }

    /// Sets the number and returns the old one.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn set(&self, value: i64) -> Result<i64, CallError> {
        self.hosted.call(std::mem::replace::<i64>, value)
    }
}

proxy! {
    /// One value of any serde type that all processes of the program share; made by
    /// [`Manager::value`](crate::Manager::value).
    ValueProxy<V>, V
}

impl<V: Serialize + DeserializeOwned + 'static> ValueProxy<V> {
    /// Sets the value and returns the old one.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn set(&self, value: V) -> Result<V, CallError> {
        self.hosted.call(|slot, value| std::mem::replace(slot, value), value)
    }
}

impl<V: Serialize + DeserializeOwned + 'static + Clone> ValueProxy<V> {
    /// Returns the current value.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn get(&self) -> Result<V, CallError> {
        self.hosted.call(|slot, ()| slot.clone(), ())
    }
}
