//! A disk that fills up under services that keep their data in files.
