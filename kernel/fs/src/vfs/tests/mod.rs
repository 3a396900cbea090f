pub(crate) mod model;
mod rules;
