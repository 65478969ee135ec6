# The part of a set-up script that is the same for everyone; what comes before it sets client, doors, asked, dns, port, fingerprints,
# ca() and for each door guard_<door>() and plan_<door>(). What was there is kept and recorded before it is changed; running it twice is
# as good as once; a download cut short does nothing, since main is the last line.

say() { printf '%s\n' "$*"; }
die() { printf 'layover: %s\n' "$*" >&2; exit 1; }
full() { die "$state cannot be written: is the disk full? What was done can be undone, with --undo"; }
left() { say "  TO DO: $*"; printf '%s\n' "$*" >> "$state/left"; }

place() { # PATH of the plan: where that is; fails for what a user has no place of their own for
  if [ "$user" = no ]; then printf '%s' "$1"; return 0; fi
  case $1 in
    /etc/docker/* | /etc/containers/* | /etc/buildkit/* | /etc/layover/*) printf '%s' "$config${1#/etc}" ;;
    *) return 1 ;;
  esac
}

placed() { # the same for paths within a file's content
  if [ "$user" = no ]; then cat; return 0; fi
  sed -e "s#\"/etc/docker/#\"$config/docker/#g" -e "s#\"/etc/containers/#\"$config/containers/#g" \
    -e "s#\"/etc/buildkit/#\"$config/buildkit/#g" -e "s#\"/etc/layover/#\"$config/layover/#g"
}

# --- the record, shared by all clients: one line for each change, "number kind path"; was/<number> is what was there, now/<number> what
# we wrote (while that is being written, now/<number>.old what we wrote before). used/<client> are the paths that a client needs,
# before/<client> and after/<client> what an undo has to do besides.

entry_of() { # PATH: its number, or nothing
  [ -f "$record" ] || return 0
  while read -r number kind path; do
    [ "$kind" = folder ] || [ "$path" != "$1" ] || printf '%s' "$number"
  done < "$record"
}

next_number() { # sets $number
  number=$(tail -n 1 "$record" | cut -d ' ' -f 1)
  number=$((number + 1))
}

folders() { # PATH: made with all above it, each recorded
  [ ! -d "$root$1" ] || return 0
  folders "$(dirname "$1")"
  next_number
  printf '%s folder %s\n' "$number" "$1" >> "$record"
  mkdir "$root$1"
}

open_record() {
  adopt
  missing=
  folder=$state_path
  while [ ! -d "$root$folder" ]; do
    missing="$folder
$missing"
    folder=$(dirname "$folder")
  done
  mkdir -p "$state"
  chmod 700 "$state"
  lock
  mkdir -p "$state/was" "$state/now" "$state/used" "$state/before" "$state/after"
  : > "$state/left"
  : > "$state/wanted"
  rm -f "$state/changed"
  touch "$state/used/$client"
  [ ! -f "$record" ] || return 0
  printf '%s' "$missing" | awk 'NF { print NR " folder " $0 }' > "$record.new"
  [ -s "$record.new" ] || printf '0 folder %s\n' "$state_path" > "$record.new"
  mv "$record.new" "$record"
}

adopt() { # what the first version of this script, for Docker alone, has left behind
  old=$root/var/lib/layover/setup-docker
  if [ ! -f "$old/record" ] || [ -e "$state" ]; then return 0; fi
  # the folder may be the service's user's by now, whose word is not root's
  [ -n "$(find "$root/var/lib/layover" -prune -user "$(id -u)")" ] || return 0
  mv "$old" "$state"
  mkdir -p "$state/used" "$state/after"
  awk '$2 != "folder" { sub(/^[^ ]* [^ ]* /, ""); print }' "$record" > "$state/used/docker"
  printf 'update_store gone\n' > "$state/after/docker"
  ! grep -q ' /etc/systemd/' "$record" || printf 'service_do restart systemd-resolved\n' >> "$state/after/docker"
}

lock() { # one set-up at a time; a lock whose owner is gone is none
  if ! (set -C && echo $$ > "$state/lock") 2>/dev/null; then
    owner=$(cat "$state/lock" 2>/dev/null || true)
    if [ -n "$owner" ] && kill -0 "$owner" 2>/dev/null; then die "another set-up is under way (process $owner; if that is none: rm $state/lock)"; fi
    echo $$ > "$state/lock" || full
  fi
  trap 'rm -f "$state/lock"' EXIT
  trap 'exit 1' HUP INT TERM
}

without() { # as grep -v; that no line is left is no failure, that the disk is full is one
  grep -v "$@" || [ $? -eq 1 ]
}

add_line() { # FILE LINE: unless it is there
  grep -qsxF -e "$2" "$1" || printf '%s\n' "$2" >> "$1"
}

forget() { # NUMBER
  without "^$1 " "$record" > "$record.new" || full
  [ -s "$record.new" ] || printf '0 folder %s\n' "$state_path" > "$record.new"
  mv "$record.new" "$record"
  rm -f "$state/was/$1" "$state/now/$1" "$state/now/$1.old"
}

is_ours() { # NUMBER FILE
  [ -f "$2" ] || return 1
  cmp -s "$state/now/$1" "$2" || cmp -s "$state/now/$1.old" "$2"
}

write_to() { # FILE: from $source, in one step where the file system allows that; keeps mode and owner
  [ ! -d "$1" ] || [ -h "$1" ] || die "$1 is a folder"
  fresh=$1.layover-new
  rm -f "$fresh" || return 1
  if [ -f "$1" ] && [ ! -h "$1" ]; then cp -p "$1" "$fresh" || return 1; fi
  cat "$source" > "$fresh" || return 1
  # a file that is a mount of its own, such as a container's resolv.conf, cannot be replaced
  if ! mv -f "$fresh" "$1" 2>/dev/null; then
    rm -f "$fresh"
    cat "$source" > "$1" || return 1
  fi
  # SELinux: by its new name it may need another label, such as resolv.conf for who manages networks
  if [ -z "$root" ] && command -v restorecon > /dev/null 2>&1; then restorecon "$1" || true; fi
}

uses() { # PATH
  add_line "$state/used/$client" "$1"
  add_line "$state/wanted" "$1"
}

put() { # PATH [KIND]: standard input becomes its content
  if ! where=$(place "$1"); then
    cat > /dev/null
    left "only root can have $1: run this once as root, without --user"
    return 0
  fi
  placed > "$state/new"
  keep "$where" "${2:-}"
}

keep() { # PLACE [KIND]: $state/new becomes its content; with the kind "line", only $state/line is ours of it
  source=$state/new
  target=$root$1
  uses "$1"
  number=$(entry_of "$1")
  if [ -n "$number" ] && is_ours "$number" "$target"; then
    ! cmp -s "$source" "$target" || return 0
    cp "$state/now/$number" "$state/now/$number.old"
    cp "$source" "$state/now/$number"
    [ -z "${2:-}" ] || cp "$state/line" "$state/now/$number.line"
    write_to "$target"
    rm "$state/now/$number.old"
    say "  renewed: $1"
    : > "$state/changed"
    return 0
  fi
  # Somebody else has written it since: what they wrote is what there is to go back to.
  [ -z "$number" ] || forget "$number"
  if [ -f "$target" ] && cmp -s "$source" "$target"; then say "  as it should be already: $1"; return 0; fi
  folders "$(dirname "$1")"
  next_number
  kind=created
  rm -f "$state/was/$number"
  if [ -e "$target" ] || [ -h "$target" ]; then
    kind=${2:-changed}
    cp -pP "$target" "$state/was/$number"
  fi
  cp "$source" "$state/now/$number"
  [ -z "${2:-}" ] || cp "$state/line" "$state/now/$number.line"
  printf '%s %s %s\n' "$number" "$kind" "$1" >> "$record"
  write_to "$target" || die "$1 cannot be written (lsattr, mount): all that was done can be undone with --undo"
  say "  $kind: $1"
  : > "$state/changed"
}

# --- undo

restore() { # NUMBER KIND PATH: fails when somebody else has changed it since
  target=$root$3
  was=$state/was/$1
  rm -f "$target.layover-new"
  if [ "$2" = created ]; then
    [ -e "$target" ] || [ -h "$target" ] || return 0
    is_ours "$1" "$target" || return 1
    rm "$target" || return 1
    say "  removed: $3"
    return 0
  fi
  if [ -h "$was" ]; then
    [ ! -h "$target" ] || return 0
    ! [ -e "$target" ] || is_ours "$1" "$target" || return 1
    rm -f "$target" || return 1
    cp -pP "$was" "$target" || return 1
  else
    ! cmp -s "$was" "$target" || return 0
    source=$was
    if ! is_ours "$1" "$target"; then
      if [ "$2" != line ] || [ ! -f "$target" ] || [ ! -f "$state/now/$1.line" ]; then return 1; fi
      grep -qxFf "$state/now/$1.line" "$target" || return 0
      without -xFf "$state/now/$1.line" "$target" > "$state/new" || full
      source=$state/new
    fi
    write_to "$target" || return 1
  fi
  say "  as it was: $3"
}

needed_by_others() { # PATH
  for other in "$state"/used/*; do
    [ "$other" != "$state/used/$client" ] || continue
    ! grep -qxF -e "$1" "$other" || return 0
  done
  return 1
}

release() { # FILE of paths that the client needs no longer: as they were, unless another client needs them; $state/kept are those that somebody changed
  : > "$state/kept"
  sort -rn "$record" > "$state/backwards"
  while read -r number kind path; do
    [ "$kind" != folder ] || continue
    grep -qxF -e "$path" "$1" || continue
    if needed_by_others "$path"; then say "  stays, since another client needs it: $path"; continue; fi
    if restore "$number" "$kind" "$path"; then
      rm -f "$state/now/$number.line"
      forget "$number"
      : > "$state/changed"
    else
      say "  left alone, since it was changed after us: $path (before us: $state/was/$number, if it was there)"
      printf '%s\n' "$path" >> "$state/kept"
    fi
  done < "$state/backwards"
  while read -r number kind path; do
    [ "$kind" = folder ] || continue
    case $state_path/ in "$path"/*) continue ;; esac
    ! rmdir "$root$path" 2>/dev/null || forget "$number"
  done < "$state/backwards"
}

each_command() { # FILE
  [ -f "$1" ] || return 0
  while read -r verb rest; do
    # shellcheck disable=SC2086 # its words are arguments
    case $verb in
      update_store | service_do | ask_restart | make_users) "$verb" $rest < /dev/null ;;
    esac
  done < "$1"
}

undo() {
  adopt
  if [ ! -f "$record" ] || [ ! -f "$state/used/$client" ]; then say "nothing to undo"; return 0; fi
  lock
  : > "$state/left"
  rm -f "$state/changed"
  each_command "$state/before/$client"
  release "$state/used/$client"
  [ ! -f "$state/changed" ] || each_command "$state/after/$client"
  if [ -s "$state/kept" ]; then
    cp "$state/kept" "$state/used/$client"
    return 1
  fi
  rm -f "$state/used/$client" "$state/before/$client" "$state/after/$client"
  status=0
  [ ! -s "$state/left" ] || status=2
  [ -z "$(ls "$state/used")" ] || return "$status"
  sort -rn "$record" > "$state/backwards"
  made=$(cat "$state/backwards")
  rm -rf "$state"
  while read -r number kind path; do
    [ "$kind" != folder ] || rmdir "$root$path" 2>/dev/null || true
  done <<END
$made
END
  return "$status"
}

# --- steps

head() { say "$1:"; }
note() { say "  $1"; }

guard() { # PATH PATTERN TEXT
  ! grep -qs -e "$2" "$root$1" || die "$3: nothing was changed"
}

show() { # TITLE: standard input is for elsewhere
  say "$1:"
  sed 's/^/    /'
}

shared() { # PATH HOLDS [instead]: standard input is what a file of the user's should say; made where there is none
  where=$(place "$1") || where=$1
  target=$root$where
  number=$(entry_of "$where")
  pending=
  if { [ ! -e "$target" ] && [ ! -h "$target" ]; } || { [ -n "$number" ] && is_ours "$number" "$target"; }; then
    put "$1"
    return 0
  fi
  [ -z "$number" ] || uses "$where"
  placed > "$state/new"
  if grep -qsF -e "$2" "$target"; then say "  has it already: $where"; return 0; fi
  left "$where is yours already and stays as it is; this belongs into it:"
  pending=yes
  [ -n "${3:-}" ] || instead < "$state/new"
}

instead() { # standard input is what belongs into the last shared file, where that was not ours to make
  if [ -z "$pending" ]; then cat > /dev/null; else placed | sed 's/^/    /'; fi
}

trust() { # FOLDER...: the CA in the first that there is, else in the first
  folder=
  for one in "$@"; do
    if [ "$user" = no ] && [ -z "$folder" ] && [ -d "$root$one" ]; then folder=$one; fi
  done
  folder=$(place "${folder:-$1}") || { left "only root can have $1"; return 0; }
  file=$folder/ca.crt
  # Somebody else's ca.crt stays: every .crt file beside it is read as well.
  if [ -e "$root$file" ] && [ -z "$(entry_of "$file")" ]; then file=$folder/layover.crt; fi
  ca > "$state/new"
  keep "$file"
  if [ -f "$root$folder/hosts.toml" ] && [ -z "$(entry_of "$folder/hosts.toml")" ]; then
    say "  mind: $folder/hosts.toml is read instead of the certificates beside it: name this CA in it (ca = \"$file\")"
  fi
  [ "$user" = yes ] || return 0
  for one in "$@"; do
    [ ! -d "$root$one" ] || say "  mind: for this user $folder now stands before $one, which is not read beside it"
  done
}

host() { # NAME ADDRESS
  pattern=$(printf '%s' "$1" | sed 's/[.]/[.]/g')
  where=/etc/hosts
  number=$(entry_of $where)
  if [ -n "$number" ] && [ -f "$state/now/$number.line" ] && is_ours "$number" "$root$where"; then
    cp "$state/was/$number" "$state/base" 2>/dev/null || : > "$state/base"
  elif grep -Eqs "^[^#]*[[:space:]]$pattern([[:space:]]|\$)" "$root$where"; then
    [ -z "$number" ] || uses $where
    say "  $where knows $1 already: $(grep -E "^[^#]*[[:space:]]$pattern([[:space:]]|\$)" "$root$where")"
    return 0
  elif [ -z "$root" ] && getent hosts "$1" > /dev/null 2>&1; then
    say "  $1 is known here already"
    return 0
  elif [ "$user" = yes ]; then
    left "let $1 lead to $2, as root, in $where"
    return 0
  else
    cat "$root$where" > "$state/base" 2>/dev/null || true
  fi
  printf '%s %s # Layover\n' "$2" "$1" > "$state/line"
  # a last line without its end would swallow ours
  { cat "$state/base"; [ -z "$(tail -c 1 "$state/base")" ] || echo; cat "$state/line"; } > "$state/new"
  keep $where line
}

# --- the CA

fingerprints_of() { # certificates on standard input
  awk '/BEGIN CERTIFICATE/ { on = 1; next } /END CERTIFICATE/ { on = 0; print ""; next } on { printf "%s", $0 }' |
    while read -r body; do
      printf '%s' "$body" | base64 -d | sha256sum | cut -c 1-64 | tr a-f A-F | sed 's/../&:/g; s/:$//'
    done
}

check_ca() {
  [ -n "$fingerprints" ] || return 0
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

store() { # WHY [optional]
  missing=left
  [ -z "${2:-}" ] || missing=note
  [ "$with_store" = yes ] || { note "the system's store is left alone"; return 0; }
  [ "$user" = no ] || { $missing "the system's store is root's. $1"; return 0; }
  folder=$(store_folder)
  [ -n "$folder" ] || { $missing "no certificate store known here (is the package ca-certificates missing?). $1"; return 0; }
  # The tools take one certificate from a file.
  total=$(ca | grep -c BEGIN)
  count=0
  rm -f "$state/changed.before"
  [ ! -f "$state/changed" ] || mv "$state/changed" "$state/changed.before"
  while [ "$count" -lt "$total" ]; do
    count=$((count + 1))
    ca | awk -v wanted="$count" '/BEGIN CERTIFICATE/ { n++ } n == wanted' > "$state/new"
    keep "$folder/layover-ca-$count.crt"
  done
  add_line "$state/after/$client" "update_store gone"
  [ ! -f "$state/changed" ] || update_store added
  [ ! -f "$state/changed.before" ] || mv "$state/changed.before" "$state/changed"
}

update_store() { # added|gone
  folder=$(store_folder)
  [ -z "$folder" ] || run "$(store_refresh "$folder" "$1")"
}

# --- DNS

uses_resolved() {
  case $(readlink "$root/etc/resolv.conf" 2>/dev/null || true) in *systemd/resolve/*) return 0 ;; esac
  grep -qs '^nameserver 127\.0\.0\.5[34]$' "$root/etc/resolv.conf"
}

resolver() {
  [ "$with_dns" = yes ] || { say "  the resolver is left alone"; return 0; }
  [ "$user" = no ] || { left "this host has to ask $dns for names: run this once as root"; return 0; }
  if uses_resolved; then ask_by_resolved; return 0; fi
  if [ "$port" != 53 ]; then
    left "let this host ask $dns: /etc/resolv.conf knows port 53 only, and Layover's DNS is on port $port"
  elif grep -qs '^# Generated by NetworkManager' "$root/etc/resolv.conf"; then ask_by_network_manager
  else ask_by_file
  fi
  say "  mind: while Layover's machine is off, this host finds no name; the way back is --undo, so keep a copy of this script"
}

ask_by_resolved() {
  server=$dns
  if [ "$port" != 53 ]; then
    case $dns in *:*) server="[$dns]:$port" ;; *) server="$dns:$port" ;; esac
  fi
  domains=
  for name in $asked; do domains="$domains ~$name"; done
  printf '# Made by the set-up of Layover.\n[Resolve]\nDNS=%s\nDomains=%s\n' "$server" "${domains# }" |
    put /etc/systemd/resolved.conf.d/layover.conf
  reload_with 'service_do restart systemd-resolved'
}

ask_by_network_manager() { # its global servers stand in place of those of every connection, and so do its search domains
  search=$(awk '$1 == "search" { $1 = ""; gsub(/^ /, ""); gsub(/ /, ","); print; exit }' "$root/etc/resolv.conf")
  printf '# Made by the set-up of Layover.\n[global-dns]\nsearches=%s\n[global-dns-domain-*]\nservers=%s\n' "$search" "$dns" |
    put /etc/NetworkManager/conf.d/90-layover.conf
  reload_with 'service_do reload NetworkManager'
}

ask_by_file() {
  { printf '# Made by the set-up of Layover; nobody may be asked beside it.\nnameserver %s\n' "$dns"
    grep -Ev '^[[:space:]]*nameserver|^# Made by the set-up of Layover' "$root/etc/resolv.conf" 2>/dev/null || true
  } > "$state/resolv.conf"
  if grep -qsi 'generated by \(dhc\|resolvconf\)' "$root/etc/resolv.conf"; then
    say "  mind: /etc/resolv.conf is written by another program, which will write it again: set its nameserver to $dns there"
  fi
  put /etc/resolv.conf < "$state/resolv.conf"
}

# --- what runs

run() { # COMMAND: only on the machine itself
  if [ -n "$root" ]; then say "  to be run there: $1"; return 0; fi
  if ! command -v "${1%% *}" > /dev/null 2>&1; then left "not found, run it yourself: $1"; return 0; fi
  say "  $1"
  $1 > /dev/null < /dev/null || left "that failed, see to it yourself: $1"
}

service_do() { # VERB [UNIT]
  if [ -n "$root" ] || [ -d /run/systemd/system ]; then run "systemctl $*"
  elif [ $# -eq 2 ] && command -v rc-service > /dev/null 2>&1; then run "rc-service $2 $1"
  else left "no systemd runs here: $*, yourself"
  fi
}

ask_restart() { # UNIT
  if [ "$with_restart" = yes ]; then service_do restart "$1"; else left "when it suits: systemctl restart $1 (or this again, with --restart)"; fi
}

reload_with() { # COMMAND: at the end, where something was changed, and after an undo
  add_line "$state/after/$client" "$1"
  add_line "$state/then" "$1"
}

reload() { reload_with "service_do reload $1"; }

restart() { # UNIT WHY [drop-in]
  [ "$user" = no ] || { left "restart your own $1: $2"; return 0; }
  say "  $2"
  [ -z "${3:-}" ] || reload_with "service_do daemon-reload"
  reload_with "ask_restart $1"
}

make_users() { run systemd-sysusers; }

start() { # UNIT
  add_line "$state/then" make_users
  add_line "$state/before/$client" "service_do disable --now $1"
  reload_with "service_do daemon-reload"
  add_line "$state/then" "service_do enable --now $1"
}

# --- all of it

apply() {
  door=${door:-${doors%% *}}
  case " $doors " in *" $door "*) ;; *) die "no door $door for $client here; there are: $doors" ;; esac
  check_ca
  "guard_$door"
  if [ "$for_elsewhere" = yes ]; then "plan_$door"; return 0; fi
  open_record
  : > "$state/then"
  cat "$state/after/$client" > "$state/earlier" 2>/dev/null || : > "$state/earlier"
  "plan_$door"
  # what an earlier run needed, by another door or for other names
  without -xFf "$state/wanted" "$state/used/$client" > "$state/stale"
  if [ -s "$state/stale" ]; then
    release "$state/stale"
    cat "$state/wanted" "$state/kept" > "$state/used/$client"
    # that it is gone must be heard of too
    without -xFf "$state/then" "$state/earlier" > "$state/new"
    cat "$state/new" >> "$state/then"
  fi
  if [ -f "$state/changed" ]; then each_command "$state/then"; else say "Nothing had to be changed."; fi
  say "All of it can be undone with --undo."
  [ ! -s "$state/left" ] || { say "Something is left for you: see TO DO above."; return 2; }
}

options() {
  root='' wanted='' action=apply door='' user=no with_dns=yes with_store=yes with_restart=no
  while [ $# -gt 0 ]; do
    case $1 in
      --undo) action=undo ;;
      --user) user=yes ;;
      --restart) with_restart=yes ;;
      --no-dns) with_dns=no ;;
      --no-store) with_store=no ;;
      --root | --fingerprint | --door)
        [ $# -gt 1 ] || die "$1 needs a value"
        case $1 in --root) root=$2 ;; --door) door=$2 ;; *) wanted=$2 ;; esac
        shift
        ;;
      *) die "unknown option $1 (there are --undo, --door, --fingerprint, --root, --user, --restart, --no-dns, --no-store)" ;;
    esac
    shift
  done
}

main() {
  options "$@"
  if [ -n "$root" ]; then root=$(cd "$root" && pwd) || die "no such folder"; fi
  [ "$root" != / ] || root=
  # not below /var/lib/layover, which belongs to the user of Layover's own service: who can write the record decides what root undoes
  state_path=/var/lib/layover-setup
  if [ "$user" = yes ]; then
    [ -n "${HOME:-}" ] || die "HOME is not set: whose set-up is it to be?"
    config=${XDG_CONFIG_HOME:-$HOME/.config}
    state_path=${XDG_STATE_HOME:-$HOME/.local/state}/layover-setup
    case $config$state_path in *[\#\"\&\\]*) die "the folder $config has a character in its name that files of this set-up cannot hold" ;; esac
  elif [ -z "$root" ] && [ "$for_elsewhere" = no ] && [ "$(id -u)" != 0 ]; then
    die "this needs root: sudo sh (or --user, for what is one user's own)"
  fi
  state=$root$state_path
  record=$state/record
  $action
}

{ main "$@"; }
