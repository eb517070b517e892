//! Tests of the whole: the rules below, every overlay, the four services under faults.
