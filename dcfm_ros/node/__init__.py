"""The ROS node: parameters, conversion, publishing, diagnostics. The only part of the package that imports ROS."""
