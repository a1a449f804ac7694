"""The view: packages in HTML, in a chat's window or on a page."""
