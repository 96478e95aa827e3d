#![doc = include_str!("views.md")]
