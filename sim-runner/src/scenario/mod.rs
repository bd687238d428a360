//! The scenario language: from a TOML file and a seed to a [`model::Plan`].

pub mod model;
