#!/bin/sh
# Makes the certificates that tests use: tests/certificates.sh [FOLDER]      (default build/test-tls; kept while they are good for a day)
#
# Each NAME has NAME.pem and NAME.key. Trusted means: by ca.pem, and by way of an authority between in the same file.
#   default      trusted: a.example, localhost, 127.0.0.1       wild, exact   trusted: *.b.example, exact.b.example
#   client       trusted, CN=telegraf,O=plant                   stranger      for the same names as default, by an authority that nobody trusts
#   self         signed by itself, for 127.0.0.1                nameless      trusted, without subjectAltName
#   expired      trusted once                                   both.pem      certificate and key of default in one file
#   open.key     the key of default, readable by all            locked.key    the same with a passphrase
#   empty.pem    nothing                                        damaged.pem   cut in the middle
#   weak         trusted, with an RSA key of 1024 bits          fifo.pem      no file, and nobody writes into it
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build/test-tls}
if [ -p "$folder/fifo.pem" ] && openssl x509 -checkend 86400 -noout -in "$folder/default.pem" >/dev/null 2>&1; then
    exit 0
fi
mkdir -p "$(dirname "$folder")"
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
target=$PWD/$folder
case $folder in /*) target=$folder ;; esac
cd "$work"
umask 077

# request NAME SUBJECT: a key and a request
request() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
}

# sign NAME AUTHORITY VALIDITY EXTENSIONS
sign() {
    printf '%b' "$4" >"$1.extensions"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')" $3 \
        -extfile "$1.extensions" -out "$1.pem" 2>/dev/null
}

# authority NAME
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 30 -subj "/CN=$1" \
        2>/dev/null
}

month="-days 30"
# The past: OpenSSL up to 3.3 knows negative days only, later ones dates only.
past="-days -1"
if openssl x509 -help 2>&1 | grep -q -e -not_after; then
    past="-not_before 20200101000000Z -not_after 20200201000000Z"
fi

# trusted NAME SUBJECT EXTENSIONS [VALIDITY]
trusted() {
    request "$1" "$2"
    sign "$1" between "${4:-$month}" "$3"
    cat between.pem >>"$1.pem"
}

names='subjectAltName=DNS:a.example,DNS:localhost,IP:127.0.0.1\n'
authority ca
authority other-ca
request between /CN=between
sign between ca "$month" 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n'
trusted default /CN=default "$names"
trusted wild /CN=wild 'subjectAltName=DNS:*.b.example\n'
trusted exact /CN=exact 'subjectAltName=DNS:exact.b.example\n'
trusted client /O=plant/CN=telegraf 'subjectAltName=DNS:telegraf\n'
trusted nameless /CN=localhost 'basicConstraints=CA:FALSE\n'
trusted expired /CN=expired "$names" "$past"
request stranger /CN=stranger
sign stranger other-ca "$month" "$names"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self.key -out self.pem -days 30 -subj /CN=self \
    -addext subjectAltName=IP:127.0.0.1 2>/dev/null
cat default.pem default.key >both.pem
cp default.key open.key
chmod 644 open.key
openssl pkey -in default.key -aes128 -passout pass:secret -out locked.key
: >empty.pem
head -c 300 default.pem >damaged.pem
openssl req -newkey rsa:1024 -nodes -keyout weak.key -out weak.csr -subj /CN=weak 2>/dev/null
sign weak between "$month" 'subjectAltName=DNS:weak.example\n'
cat between.pem >>weak.pem
mkfifo fifo.pem
rm -f ./*.csr ./*.extensions
cd - >/dev/null
rm -rf "$target"
mv "$work" "$target"
trap - EXIT
