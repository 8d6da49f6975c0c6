//! drey-apiserver
