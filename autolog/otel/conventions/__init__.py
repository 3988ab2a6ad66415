"""How our spans are told to others: a module for each way to name things, all of them functions of the span alone."""
