"""What a person sees of a trace. These modules draw what they are handed and import no model."""
