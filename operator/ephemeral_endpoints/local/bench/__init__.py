"""The measurement of the operator on the embedded platform: one fresh platform a size, under the documented limits."""
