"""The web page, its REST interface, and the place that traces of other processes are sent to: one process over one store."""
