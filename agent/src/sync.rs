//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whether or not a thread panicked that held the lock: a panic of one plugin's thread is no reason
/// for the others' to end, and nothing is left half changed under any of the locks here.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
