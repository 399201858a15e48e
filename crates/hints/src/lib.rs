//! What a program may tell the machine about its memory. Each is a hint: what memory holds and what a program does are the same
//! with it and without.

mod fetch;
mod pages;

pub use fetch::{fetch, fetch_at};
pub use pages::prefer_huge_pages;
