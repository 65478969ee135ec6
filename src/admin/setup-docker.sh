# The part of the Docker set-up script that is the same for everyone; what comes before it sets names, hijacked, dns, port,
# fingerprints and ca(). POSIX sh, for dash and busybox too. What was there is kept and recorded before it is changed; running it
# twice is as good as once; a download cut short does nothing, since main is the last line.

say() { printf '%s\n' "$*"; }
die() { printf 'layover: %s\n' "$*" >&2; exit 1; }

# --- the record: one line for each change, "number kind path"; was/<number> is what was there, now/<number> what we wrote

entry_of() { # PATH: its number, or nothing
  [ -f "$record" ] || return 0
  while read -r number kind path; do
    [ "$kind" = folder ] || [ "$path" != "$1" ] || printf '%s' "$number"
  done < "$record"
}

note() { # KIND PATH: sets $number
  number=$(tail -n 1 "$record" | cut -d ' ' -f 1)
  number=$((number + 1))
}

folders() { # PATH: made with all above it, each recorded
  [ ! -d "$root$1" ] || return 0
  folders "$(dirname "$1")"
  note
  printf '%s folder %s\n' "$number" "$1" >> "$record"
  mkdir "$root$1"
}

open_record() {
  missing=
  folder=$state_path
  while [ ! -d "$root$folder" ]; do
    missing="$folder $missing"
    folder=$(dirname "$folder")
  done
  mkdir -p "$state/was" "$state/now"
  [ ! -f "$record" ] || return 0
  count=0
  for folder in $missing; do
    count=$((count + 1))
    printf '%s folder %s\n' "$count" "$folder"
  done > "$record.new"
  [ -s "$record.new" ] || printf '0 folder %s\n' "$state_path" > "$record.new"
  mv "$record.new" "$record"
}

forget() { # NUMBER
  grep -v "^$1 " "$record" > "$record.new" || true
  mv "$record.new" "$record"
}

put() { # PATH: standard input becomes its content
  cat > "$state/new"
  target=$root$1
  number=$(entry_of "$1")
  if [ -n "$number" ] && [ -f "$target" ] && cmp -s "$state/now/$number" "$target"; then
    cp "$state/new" "$state/now/$number"
    cat "$state/new" > "$target"
    return 0
  fi
  # Somebody else has written it since: what they wrote is what there is to go back to.
  [ -z "$number" ] || forget "$number"
  if [ -f "$target" ] && cmp -s "$state/new" "$target"; then say "  as it should be already: $1"; return 0; fi
  folders "$(dirname "$1")"
  note
  kind=created
  if [ -e "$target" ] || [ -h "$target" ]; then
    kind=changed
    rm -f "$state/was/$number"
    cp -pP "$target" "$state/was/$number"
  fi
  cp "$state/new" "$state/now/$number"
  printf '%s %s %s\n' "$number" "$kind" "$1" >> "$record"
  [ ! -h "$target" ] || rm "$target"
  cat "$state/new" > "$target"
  say "  $kind: $1"
}

# --- undo

restore() { # NUMBER KIND PATH: fails when somebody else has changed it since
  target=$root$3
  if [ "$2" = created ]; then
    [ -e "$target" ] || return 0
    cmp -s "$state/now/$1" "$target" || return 1
    rm "$target"
    say "  removed: $3"
    return 0
  fi
  if [ -h "$state/was/$1" ]; then
    [ ! -h "$target" ] || return 0
    ! [ -e "$target" ] || cmp -s "$state/now/$1" "$target" || return 1
    rm -f "$target"
    cp -pP "$state/was/$1" "$target"
  else
    ! cmp -s "$state/was/$1" "$target" || return 0
    cmp -s "$state/now/$1" "$target" || return 1
    cat "$state/was/$1" > "$target"
  fi
  say "  as it was: $3"
}

undo() {
  [ -f "$record" ] || { say "nothing to undo"; return 0; }
  backwards=$(sort -rn "$record")
  left=
  stores=
  resolved=
  while read -r number kind path; do
    [ "$kind" != folder ] || continue
    case $path in
      /etc/docker/*|/etc/resolv.conf) ;;
      /etc/systemd/*) resolved=yes ;;
      *) stores=yes ;;
    esac
    restore "$number" "$kind" "$path" || left="$left $number:$path"
  done <<END
$backwards
END
  if [ -n "$left" ]; then
    for one in $left; do
      say "  left alone, since it was changed after us: ${one#*:} (before us: $state/was/${one%%:*}, if it was there)"
    done
  else
    rm -rf "$state"
    while read -r number kind path; do
      [ "$kind" != folder ] || rmdir "$root$path" 2>/dev/null || true
    done <<END
$backwards
END
  fi
  [ -z "$stores" ] || update_store fresh
  [ -z "$resolved" ] || restart_resolved
  [ -z "$left" ]
}

# --- the CA

fingerprints_of() { # certificates on standard input
  awk '/BEGIN CERTIFICATE/ { on = 1; next } /END CERTIFICATE/ { on = 0; print ""; next } on { printf "%s", $0 }' |
    while read -r body; do
      printf '%s' "$body" | base64 -d | sha256sum | cut -c 1-64 | tr a-f A-F | sed 's/../&:/g; s/:$//'
    done
}

check_ca() {
  found=$(ca | fingerprints_of | tr '\n' ' ')
  [ "$found" = "$fingerprints " ] || die "the certificate in this script is damaged: fetch it again"
  if [ -z "$wanted" ]; then
    say "The CA's SHA-256 fingerprint: $found"
    say "Compare it with what \"layover ca show\" says on Layover's machine."
    return 0
  fi
  for print in $found; do
    case ",$(printf '%s' "$wanted" | tr a-f A-F)," in
      *",$print,"*) ;;
      *) die "the CA's fingerprint is $print, which is not the one that you named: nothing was changed" ;;
    esac
  done
}

trust_for() { # NAME
  folder=/etc/docker/certs.d/$1
  file=$folder/ca.crt
  # Somebody else's ca.crt stays: every .crt file beside it is read as well.
  if [ -e "$root$file" ] && [ -z "$(entry_of "$file")" ]; then file=$folder/layover.crt; fi
  ca | put "$file"
  [ ! -f "$root$folder/hosts.toml" ] || say "  mind: $folder/hosts.toml is read instead of the certificates beside it: name this CA in it (ca = \"$file\")"
}

store_path() {
  for folder in /etc/pki/ca-trust/source/anchors /usr/local/share/ca-certificates /etc/ca-certificates/trust-source/anchors /usr/share/pki/trust/anchors; do
    [ ! -d "$root$folder" ] || { printf '%s' "$folder"; return 0; }
  done
}

trust_in_store() {
  store=$(store_path)
  if [ -z "$store" ]; then say "  no certificate store known here: Docker's classic store needs the CA there for Docker Hub"; return 0; fi
  # The tools take one certificate from a file.
  total=$(ca | grep -c BEGIN)
  count=0
  while [ "$count" -lt "$total" ]; do
    count=$((count + 1))
    suffix=-$count
    [ "$count" -gt 1 ] || suffix=
    ca | awk -v wanted="$count" '/BEGIN CERTIFICATE/ { n++ } n == wanted' | put "$store/layover$suffix.crt"
  done
  update_store
}

update_store() { # [fresh]
  case $(store_path) in
    /etc/pki/*) command='update-ca-trust extract' ;;
    /etc/ca-certificates/*) command='trust extract-compat' ;;
    '') return 0 ;;
    *) command=update-ca-certificates; [ -z "${1:-}" ] || command='update-ca-certificates --fresh' ;;
  esac
  run "$command"
}

# --- DNS

uses_resolved() {
  case $(readlink "$root/etc/resolv.conf" 2>/dev/null || true) in *systemd/resolve/*) return 0 ;; esac
  grep -qs '^nameserver 127\.0\.0\.5[34]$' "$root/etc/resolv.conf"
}

ask_layover() {
  if uses_resolved; then
    server=$dns
    if [ "$port" != 53 ]; then
      case $dns in *:*) server="[$dns]:$port" ;; *) server="$dns:$port" ;; esac
    fi
    domains=
    for name in $hijacked; do domains="$domains ~$name"; done
    printf '# Made by the set-up of Layover.\n[Resolve]\nDNS=%s\nDomains=%s\n' "$server" "${domains# }" |
      put /etc/systemd/resolved.conf.d/layover.conf
    restart_resolved
    return 0
  fi
  if [ "$port" != 53 ]; then
    say "  /etc/resolv.conf knows port 53 only, and Layover's DNS is on port $port: left alone"
    return 0
  fi
  { printf '# Made by the set-up of Layover; nobody may be asked beside it.\nnameserver %s\n' "$dns"
    grep -Ev '^[[:space:]]*nameserver|^# Made by the set-up of Layover' "$root/etc/resolv.conf" 2>/dev/null || true
  } > "$state/resolv.conf"
  if grep -qsi 'generated by \(networkmanager\|dhc\|resolvconf\)' "$root/etc/resolv.conf"; then
    say "  mind: /etc/resolv.conf is written by another program, which will write it again: set its nameserver to $dns there"
  fi
  put /etc/resolv.conf < "$state/resolv.conf"
}

restart_resolved() { run 'systemctl restart systemd-resolved'; }

# --- all of it

run() { # COMMAND: only on the machine itself
  if [ -n "$root" ]; then say "  to be run there: $1"; return 0; fi
  if ! command -v "${1%% *}" > /dev/null 2>&1; then say "  not found, run it yourself: $1"; return 0; fi
  say "  $1"
  $1 > /dev/null || say "  that failed: see to it yourself"
}

apply() {
  check_ca
  open_record
  say "The CA certificate, for Docker:"
  for name in $names; do trust_for "$name"; done
  if [ "$with_store" = yes ]; then
    say "The CA certificate, for the system:"
    trust_in_store
  fi
  if [ "$with_dns" = yes ]; then
    say "DNS: names are asked of $dns"
    ask_layover
  fi
  say "Done. If Docker uses its classic image store, restart it once for Docker Hub: systemctl restart docker"
  say "All of it can be undone with --undo."
}

main() {
  root= wanted= action=apply with_dns=yes with_store=yes
  while [ $# -gt 0 ]; do
    case $1 in
      --undo) action=undo ;;
      --no-dns) with_dns=no ;;
      --no-store) with_store=no ;;
      --root | --fingerprint)
        [ $# -gt 1 ] || die "$1 needs a value"
        if [ "$1" = --root ]; then root=$2; else wanted=$2; fi
        shift
        ;;
      *) die "unknown option $1 (there are --undo, --fingerprint, --root, --no-dns, --no-store)" ;;
    esac
    shift
  done
  if [ -n "$root" ]; then root=$(cd "$root" && pwd) || die "no such folder"; fi
  [ "$root" != / ] || root=
  [ -n "$root" ] || [ "$(id -u)" = 0 ] || die "this needs root: sudo sh"
  state_path=/var/lib/layover/setup-docker
  state=$root$state_path
  record=$state/record
  $action
}

{ main "$@"; }
