"""Python's verifier at its strictest: reads lines of "address name roots.pem", and says for each whether a TLS handshake there is accepted."""
import socket
import ssl
import sys

for line in sys.stdin:
    address, name, roots = line.split()
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=roots)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=name):
                print("accept")
    except ssl.SSLError as error:
        print("refuse", str(error).replace("\n", " "))
