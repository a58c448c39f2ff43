"""Mutual TLS out of files in PEM: certificate, key and the CA that certifies the other end."""
import ssl


def accepting(certificate, key, ca):
    return context(ssl.Purpose.CLIENT_AUTH, certificate, key, ca)


def calling(certificate, key, ca):
    return context(ssl.Purpose.SERVER_AUTH, certificate, key, ca)


def context(purpose, certificate, key, ca):
    made = ssl.create_default_context(purpose, cafile=ca)
    made.load_cert_chain(certificate, key)
    made.verify_mode = ssl.CERT_REQUIRED
    return made
