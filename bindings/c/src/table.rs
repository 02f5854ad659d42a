//! The objects behind the handles.
//!
//! A handle is a number that is never used again, so a handle that was freed stays invalid for ever.
//!
//! The table is divided, so that threads with different engines seldom wait for each other: an object is
//! in the part of the thread that made it. The lock of a part is held only to look up one number, and
//! never while an object is used or freed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disband_dynamic::{AnyAudience, AnyDissolved};

use crate::engine::SharedEngine;
use crate::outcome::Outcome;
use crate::status::{Failure, disband_status};

/// Adds an object and returns its handle.
pub(crate) fn insert<T: Kind>(object: T) -> u64 {
    let part = PART.with(|part| *part);
    let object = T::wrap(Arc::new(object));
    let mut locked = lock(part);
    locked.count += 1;
    let id = locked.count * PARTS as u64 + part as u64;
    locked.objects.insert(id, object);
    id
}

/// The object. It stays alive while the result does, also if its handle is freed meanwhile.
///
/// # Errors
/// `BadHandle`
pub(crate) fn get<T: Kind>(id: u64) -> Result<Arc<T>, Failure> {
    find(&lock(part_of(id)), id)
}

/// Removes the object and returns it. The caller drops it, which may take long.
///
/// # Errors
/// `BadHandle`. Nothing is removed then.
pub(crate) fn remove<T: Kind>(id: u64) -> Result<Arc<T>, Failure> {
    let mut part = lock(part_of(id));
    let object = find(&part, id)?;
    part.objects.remove(&id);
    Ok(object)
}

/// What a handle can stand for.
pub(crate) trait Kind: Sized {
    /// The kind with its article, for messages.
    const NAME: &'static str;
    fn wrap(object: Arc<Self>) -> Object;
    fn of(object: &Object) -> Option<&Arc<Self>>;
}

macro_rules! kinds {
    ($($kind:ident($object:ty) $name:literal)*) => {
        /// An object of any kind.
        pub(crate) enum Object {
            $($kind(Arc<$object>),)*
        }

        impl Object {
            fn name(&self) -> &'static str {
                match self {
                    $(Object::$kind(_) => $name,)*
                }
            }
        }

        $(impl Kind for $object {
            const NAME: &'static str = $name;

            fn wrap(object: Arc<Self>) -> Object {
                Object::$kind(object)
            }

            fn of(object: &Object) -> Option<&Arc<Self>> {
                if let Object::$kind(object) = object { Some(object) } else { None }
            }
        })*
    };
}

kinds! {
    Engine(SharedEngine) "an engine"
    Outcome(Outcome) "an outcome"
    Audience(AnyAudience) "an audience"
    Dissolved(AnyDissolved) "a dissolved group"
}

const PARTS: usize = 16;

/// Each part has its own cache line.
#[repr(align(64))]
struct Aligned(Mutex<Part>);

static TABLE: [Aligned; PARTS] = [const { Aligned(Mutex::new(Part::new())) }; PARTS];

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The part in which this thread's new objects are. It has no destructor, so it can be used until
    /// the thread has ended.
    static PART: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PARTS;
}

struct Part {
    /// How many objects were ever added. It cannot overflow in practice: 2^60 objects.
    count: u64,
    objects: BTreeMap<u64, Object>,
}

impl Part {
    const fn new() -> Self {
        Part { count: 0, objects: BTreeMap::new() }
    }
}

fn part_of(id: u64) -> usize {
    (id % PARTS as u64) as usize
}

fn lock(part: usize) -> MutexGuard<'static, Part> {
    // Nothing panics while a part is locked.
    TABLE[part].0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find<T: Kind>(part: &Part, id: u64) -> Result<Arc<T>, Failure> {
    let bad = |why: String| Err(Failure::new(disband_status::BadHandle, why));
    let Some(object) = part.objects.get(&id) else {
        return bad(match id {
            0 => format!("the handle is null, not {}", T::NAME),
            _ => format!("the handle {id} was freed or never existed"),
        });
    };
    match T::of(object) {
        Some(object) => Ok(object.clone()),
        None => bad(format!("the handle {id} is {}, not {}", object.name(), T::NAME)),
    }
}
