//! Headers on their way to the backend: forged identity erased, true identity set.

pub mod identity;
