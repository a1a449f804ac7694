"""The view: packages as people look at them, in a chat client's window and on a page. One HTML file, which reads and never writes."""
