#!/bin/sh
# certificate.sh FILE NAME: a certificate of one's own for a trial, and its key, in one file as HAProxy takes it.
set -eu
folder=$(mktemp -d)
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$2" -addext "subjectAltName=DNS:$2" \
    -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>/dev/null
umask 077
cat "$folder/certificate.pem" "$folder/key.pem" >"$1"
rm -r "$folder"
