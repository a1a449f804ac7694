"""What runs in the child: the engine over files that it is handed, with no path, no network and no credentials. Nothing outside
of this folder is imported by it but ``lockdown``.
"""
