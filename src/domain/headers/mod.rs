//! Headers on their way to the backend, forged identity erased and true identity set; and on their way back.

pub mod backward;
pub mod forwarded;
pub mod identity;
pub mod managed;
pub mod rewrite;
pub mod trace;

pub use forwarded::{Client, Peer, Proto};
pub use identity::IdentityHeaders;
pub use managed::Managed;
pub use rewrite::{rewrite, Onward};
