# The system's own certificate store: which folder its tool reads, and that tool. Sourced by scripts/trust-ca, and part of every set-up
# script. $root is set.

# SUSE has a command of Debian's name, so its folder is looked for first.
store_folder() { # nothing where no kind known here is
  for folder in /etc/pki/trust/anchors /etc/pki/ca-trust/source/anchors /etc/ca-certificates/trust-source/anchors; do
    [ ! -d "$root$folder" ] || { printf '%s' "$folder"; return 0; }
  done
  if [ -d "$root/usr/share/ca-certificates" ] || [ -d "$root/usr/local/share/ca-certificates" ]; then
    printf '%s' /usr/local/share/ca-certificates
  fi
}

# --fresh makes Debian's and Alpine's command forget what is gone; the others always start anew.
store_refresh() { # FOLDER added|gone
  case $1 in
    /etc/pki/trust/anchors) printf '%s' 'update-ca-certificates' ;;
    /etc/pki/*) printf '%s' 'update-ca-trust extract' ;;
    /etc/ca-certificates/*) printf '%s' 'trust extract-compat' ;;
    *) if [ "$2" = gone ]; then printf '%s' 'update-ca-certificates --fresh'; else printf '%s' update-ca-certificates; fi ;;
  esac
}
