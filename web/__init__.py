"""What stands between the network and the pages: headers, downloads, limits on uploads and connections, and health."""
