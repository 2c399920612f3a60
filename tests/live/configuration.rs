//! What is said when something is asked wrongly. Needs no rights: the configuration is checked before anything is opened.
