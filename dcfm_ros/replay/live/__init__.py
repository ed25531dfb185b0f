"""A recording through a running node: the processes of `dcfm demo` and `dcfm replay --live`."""
