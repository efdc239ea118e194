//! The other built-in families as plugins, one example each: the same files, compiled against the plugin interface.
//! `plugins/bert` is the same as a crate of its own, as an author would write it.
