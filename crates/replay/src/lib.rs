//! Captures from files and pipes, driven through the engine.
