"""Which photos probably have a wrong label, by runs that never trained on them."""
