"""The view: packages as people look at them, in a chat client's window and on a page: one HTML file, which only reads."""
