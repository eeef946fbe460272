//! Which route a request meets, and what the route asks of the caller. Pure: values in, a verdict out.

pub mod cors;
pub mod expression;
pub mod pattern;
pub mod route;
pub mod rule;
pub mod table;

pub use route::Route;
pub use table::RouteTable;
