# The part of the doctor's script that is the same for everyone; what comes before it sets url, own, names and ca().
# POSIX sh, for dash and busybox too, with curl or else wget and openssl, and as much of getent, dig or nslookup and docker as there is.
# Changes nothing; a download cut short does nothing, since main is the last line.

failed=0
warned=0
ok() { printf 'ok    %-8s  %s\n' "$1" "$2"; }
fail() { failed=$((failed + 1)); printf 'fail  %-8s  %s\n                → %s\n' "$1" "$2" "$3"; }
warn() { warned=$((warned + 1)); printf 'warn  %-8s  %s\n                → %s\n' "$1" "$2" "$3"; }
has() { command -v "$1" > /dev/null 2>&1; }
words() { tr -s ' \t\n' '   ' | sed 's/^ //; s/ $//'; echo; } # on one line, which ends
page() { # PATH
  if has curl; then curl -fsS --max-time 5 "$url$1" 2> /dev/null; return; fi
  case $(wget --help 2>&1) in *-T*) patience='-T 5' ;; *) patience= ;; esac
  wget -q $patience -O - "$url$1" 2> /dev/null
}

# --- names

lookup() { # NAME: as programs of this machine get its addresses
  if has getent; then getent ahosts "$1" | cut -d ' ' -f 1 | sort -u | words
  elif has nslookup; then nslookup "$1" 2> /dev/null | awk 'on && /^Address/ { print $NF } /^Name:/ { on = 1 }' | sort -u | words
  fi
}

ask() { # SERVER NAME TYPE [+tcp]: answers of one server; status 9: there is no telling
  if has dig; then
    answer=$(dig +time=2 +tries=1 +short $4 "@$1" "$2" -t "$3" 2> /dev/null) || return 1
    printf '%s\n' "$answer" | grep -v '^;' | words
  elif has nslookup && [ "$3" != TYPE65 ] && [ -z "$4" ]; then
    answer=$(nslookup -type="$3" "$2" "$1" 2> /dev/null | awk 'on && /^Address/ { print $NF } /^Name:/ { on = 1 }' | sort -u | words)
    printf '%s\n' "$answer"
  else
    return 9
  fi
}

is_ours() { # ADDRESSES: all of them, and at least one
  [ -n "$1" ] || return 1
  for address in $1; do
    case " $ours " in *" $address "*) ;; *) return 1 ;; esac
  done
}

servers() { sed -n 's/^[[:space:]]*nameserver[[:space:]]*\([^[:space:]#;%]*\).*/\1/p' /etc/resolv.conf 2> /dev/null | words; }

check_servers() {
  leading=
  others=
  for server in $(servers) $(behind_stub); do
    first=$(ask "$server" "${names%% *}" A '')
    case $? in
      9) warn dns "no dig or nslookup here: who answers at $server was not looked at" "install dnsutils (bind-utils, bind-tools)"; continue ;;
      1) warn dns "the name server $server does not answer" "let UDP port 53 through to it, or take it out of /etc/resolv.conf"; continue ;;
    esac
    if is_ours "$first"; then leading="$leading $server"; else others="$others $server($first)"; fi
  done
  if [ -z "$leading" ]; then
    [ -z "$others" ] || fail dns "this machine does not ask Layover:$others for ${names%% *}" "$set_up"
    return
  fi
  [ -z "$others" ] || fail dns "a second name server beside Layover:$others; some clients ask all of them" "let nobody but Layover be asked: $set_up"
  leaks=
  tcp=
  for server in $leading; do
    for name in $names; do
      for type in AAAA TYPE65; do
        answer=$(ask "$server" "$name" "$type" '') || continue
        [ -z "$answer" ] || is_ours "$answer" || leaks="$leaks $name($type $answer)"
      done
    done
    over_tcp "$server" || tcp="$tcp $server"
  done
  [ -z "$leaks" ] || fail dns "records leak that lead past Layover:$leaks" "whoever answers is not (only) Layover: let nobody else be asked"
  [ -z "$tcp" ] || fail dns "no DNS over TCP at$tcp; long answers need it" "let TCP port 53 through (firewall; with Docker publish 53/tcp besides 53/udp)"
  [ -n "$leaks$tcp$others" ] || ok dns "$(printf '%s' "$leading" | words) leads to Layover, over UDP and TCP"
}

behind_stub() { # whom systemd-resolved asks, unless it was told to ask Layover alone for these names
  case " $(servers) " in *' 127.0.0.53 '* | *' 127.0.0.54 '*) ;; *) return 0 ;; esac
  ! cat /etc/systemd/resolved.conf /etc/systemd/resolved.conf.d/*.conf 2> /dev/null | grep -q '^Domains=.*~' || return 0
  sed -n 's/^nameserver *//p' /run/systemd/resolve/resolv.conf 2> /dev/null | words
}

over_tcp() { # SERVER
  if has dig; then ask "$1" "${names%% *}" A +tcp > /dev/null; return; fi
  if ! has curl; then nc -w 3 "$1" 53 < /dev/null > /dev/null 2>&1; return; fi
  # connected, it waits in vain until its time is over
  case $(curl -s --max-time 3 -o /dev/null -w '%{time_connect}' "telnet://$1:53" < /dev/null) in '' | 0 | 0.000000) return 1 ;; esac
}

check_files() {
  for name in $names; do
    line=$(sed 's/#.*//' /etc/hosts 2> /dev/null | awk -v name="$name" '{ for (i = 2; i <= NF; i++) if (tolower($i) == name) print $1 }' | words)
    [ -z "$line" ] || fail system "/etc/hosts gives $name as $line, before any DNS is asked" "take $name out of /etc/hosts"
  done
  settings=$(cat /etc/systemd/resolved.conf /etc/systemd/resolved.conf.d/*.conf 2> /dev/null)
  case " $(servers) " in *' 127.0.0.53 '*) ;; *) settings= ;; esac
  for line in DNSSEC DNSOverTLS; do
    case $(printf '%s\n' "$settings" | sed -n "s/^$line=//p" | tail -n 1) in
      yes | true | 1) fail system "systemd-resolved has $line=yes, which Layover's answers do not pass" "$line=no in /etc/systemd/resolved.conf.d/layover.conf, then restart it" ;;
    esac
  done
}

# --- the door, and whom this machine trusts

certificate_of() { # NAME: who signed what is shown there
  ! has openssl || openssl s_client -connect "$1:443" -servername "$1" < /dev/null 2> /dev/null | openssl x509 -noout -issuer 2> /dev/null
}

show() { # NAME: whether who trusts Layover's CA alone takes what is shown there; in curl's numbers why not
  if has curl; then
    curl -sS --cacert "$work/ca.crt" --capath /nowhere --connect-timeout 4 --max-time 8 -o /dev/null "https://$1/v2/" 2> "$work/why"
    return
  fi
  [ -n "$(lookup "$1")" ] || return 6
  trusting="-CAfile $work/ca.crt -no-CApath -verify_return_error -verify_hostname $1"
  openssl s_client -connect "$1:443" -servername "$1" $trusting < /dev/null > "$work/why" 2>&1 && return 0
  if grep -q '^CONNECTED' "$work/why"; then return 60; else return 7; fi
}

check_door() {
  good=
  for name in $names; do
    show "$name"
    case $? in
      0) good="$good $name" ;;
      6) fail dns "$name has no address here" "$set_up" ;;
      7 | 28) fail door "$name leads to $(lookup "$name"), which cannot be reached from here" "let this machine through to port 443 there, or set Layover's \`answer\` to what clients reach" ;;
      60 | 35) fail tls "$name: not a certificate of Layover's present CA ($(certificate_of "$name"))" "is that the registry's own? then the name leads past Layover. Else look at this machine's clock" ;;
      *) fail tls "$name: $(head -n 1 "$work/why")" "see Layover's log" ;;
    esac
  done
  [ -z "$good" ] || ok tls "certificates of Layover's CA are shown for$good"
}

bodies() { awk '/BEGIN CERTIFICATE/ { on = 1; next } /END CERTIFICATE/ { on = 0; print ""; next } on { gsub(/\r/, ""); printf "%s", $0 }'; }

holds() { # FILE: whether all of Layover's roots are in it
  [ -r "$1" ] || return 1
  bodies < "$1" > "$work/there"
  ca | bodies | while read -r body; do grep -qxF "$body" "$work/there" || exit 1; done
}

in_store() {
  for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    [ ! -e "$bundle" ] || { holds "$bundle"; return; }
  done
  return 1
}

in_folder() { # NAME
  for folder in /etc/docker/certs.d /etc/containers/certs.d /etc/containerd/certs.d "${XDG_CONFIG_HOME:-$HOME/.config}/docker/certs.d"; do
    for file in "$folder/$1"/*.crt; do
      ! holds "$file" || return 0
    done
  done
  return 1
}

check_trust() {
  bare=
  for name in $names; do
    in_folder "$name" || { [ "$name" = registry-1.docker.io ] && in_folder docker.io; } || bare="$bare $name"
    for folder in /etc/docker/certs.d /etc/containers/certs.d /etc/containerd/certs.d; do
      [ ! -e "$folder/$name:443" ] || fail trust "$folder/$name:443 is never read: for port 443 the folder has no port" "mv $folder/$name:443 $folder/$name"
      for file in "$folder/$name"/*; do
        case $file in *.crt | */hosts.toml | *'/*') continue ;; esac
        ! holds "$file" || fail trust "$file is never read as a CA: its file ends in .crt" "mv $file $folder/$name/ca.crt"
      done
    done
  done
  if [ -z "$bare" ] || in_store; then ok trust "Layover's CA is trusted for all names"
  else fail trust "nothing here trusts Layover's present CA for$bare" "$set_up"
  fi
}

check_docker() {
  has docker || return 0
  info=$(docker info -f '{{.DriverStatus}} {{.HTTPSProxy}}|{{.NoProxy}}' 2> /dev/null) || return 0
  case $info in
    *io.containerd.snapshotter*) in_store || in_folder docker.io || fail docker "Docker looks for the CA of Docker Hub as /etc/docker/certs.d/docker.io/ca.crt, and it is not there" "$set_up" ;;
    *) in_store || fail docker "Docker's classic image store reads only the system's certificate store for Docker Hub, which lacks Layover's CA" "$set_up; then systemctl restart docker" ;;
  esac
  case $info in *' |'*) ;; *) warn proxy "Docker has an HTTPS proxy, which it asks whatever DNS says" "add Layover's names to its NO_PROXY: $names" ;; esac
}

# --- Layover itself

check_layover() {
  # whoever answers may never end
  ready=$(page /readyz | head -c 65536)
  case $ready in
    *'"ready":true'*) ok layover "$url is ready" ;;
    *) if page /livez > /dev/null; then fail layover "$url is not well, or gone round on purpose: see $url/readyz" "until that is over names lead to the real registries"
      else fail layover "$url cannot be reached from here" "let this machine through to port 80 there"
      fi ;;
  esac
  time=$(page /client.json | head -c 65536 | sed -n 's/.*"time":\([0-9]*\).*/\1/p')
  [ -n "$time" ] || return 0
  skew=$(($(date +%s) - time))
  if [ "$skew" -gt 300 ] || [ "$skew" -lt -300 ]; then
    fail clock "is off by $((skew / 60)) minutes from Layover's" "let this machine keep time (chrony, systemd-timesyncd)"
  else
    ok clock "agrees with Layover's"
  fi
}

main() {
  door=hijack
  if [ "${1:-}" = --door ]; then door=${2:-}; fi
  case $door in hijack | mirror | proxy) ;; *) echo "layover: --door takes hijack, mirror or proxy" >&2; exit 2 ;; esac
  has curl || { has wget && has openssl; } || { echo "layover: curl is needed, or wget and openssl" >&2; exit 2; }
  set_up="curl -fsS $url/setup/docker | sudo sh"
  work=$(mktemp -d) || exit 2
  trap 'rm -rf "$work"' EXIT
  ca > "$work/ca.crt"
  host=$(printf '%s' "$url" | sed 's|^[a-z]*://||; s|^\[\(.*\)\].*|\1|; s|:[0-9]*$||')
  ours=$( { echo "$host"; lookup "$host"; for server in $(servers); do ask "$server" "$own" A ''; ask "$server" "$own" AAAA ''; done; } | tr ' ' '\n' | sort -u | words)
  check_layover
  case $door in
    hijack) check_files; check_servers; check_door; check_trust; check_docker ;;
    # whom it trusts is written in its own configuration
    mirror) names=$own set_up="$set_up -s -- --door mirror"; check_door ;;
    proxy) check_trust ;;
  esac
  printf '%s\n' "$failed wrong, $warned to look at"
  [ "$failed" -eq 0 ]
}

{ main "$@"; }
