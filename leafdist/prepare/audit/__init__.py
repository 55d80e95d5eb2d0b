"""`leafdist audit`: finds what is wrong with a folder of photos and what an accuracy on it can mean."""
