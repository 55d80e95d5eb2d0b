"""HTML: the templates, charts and pictures that report, audit and comparison share."""
