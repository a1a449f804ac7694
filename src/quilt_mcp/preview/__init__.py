"""What is inside a file: tables, notebooks, pictures, compressed text, and the headers of the formats of the field.

Whatever decodes bytes of others runs in a child process (``decode/``), which is asked through ``child.py``; what can be asked
stands in ``questions.py``. Decision 023 says why.
"""
