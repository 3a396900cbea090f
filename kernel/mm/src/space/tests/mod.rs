//! Properties of address spaces.

mod model;
mod random;
mod rules;
mod shortage;
