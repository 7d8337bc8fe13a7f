"""Code that protoc made from ``../proto``; nothing here is written by hand."""
