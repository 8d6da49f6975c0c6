//! Fields of a manifest that no kind has, with the known name that was probably meant.
