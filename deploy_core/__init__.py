"""DeiT Deploy: from a Vision Transformer's checkpoint to a file that runs on a phone.

The parts: ``models`` (what can be loaded), ``images`` (what can be looked at), ``classify``, ``build`` and
``profile`` (the three jobs), ``formats`` (the table of artifacts). ``python -m deploy_core`` is the command line.
"""
