//! Properties of address spaces.

mod model;
mod random;
