//! Properties of address spaces.

mod model;
mod parallel;
mod random;
mod rules;
mod shortage;
