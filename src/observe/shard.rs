//! One value per thread, or nearly: every thread has a seat, and seats share nothing, not even a cache line.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::LazyLock;
use std::thread::available_parallelism;

/// As many copies of `T` as there are CPUs, rounded up to a power of two.
#[derive(Debug)]
pub(super) struct Sharded<T>(Box<[Padded<T>]>);

/// Two cache lines: x86 fetches them in pairs, so neighbours at 64 bytes would still disturb each other.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T> Sharded<T> {
    /// The copy of this thread. With more threads than CPUs some share one, so `T` must bear that.
    #[expect(clippy::indexing_slicing, reason = "the mask is the length, a power of two, less one")]
    pub(super) fn mine(&self) -> &T {
        &self.0[seat() & (self.0.len() - 1)].0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self((0..*SHARDS).map(|_| Padded(T::default())).collect())
    }
}

static SHARDS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(4, usize::from).clamp(4, 64).next_power_of_two());

/// The number of this thread, in the order in which threads first came by.
fn seat() -> usize {
    const NONE: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static SEAT: Cell<usize> = const { Cell::new(NONE) } }
    SEAT.with(|seat| {
        if seat.get() == NONE {
            seat.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        seat.get()
    })
}
