#!/bin/sh
# Asks a few questions and writes a folder that can be deployed: the platform's files, filled in, with all that it builds.
# Secrets (webhook, password, addresses with a login or a query) go to the platform's own secrets or to a file that only
# you can read and git ignores, never into a file that would be committed. `--help` tells the flags.
#
# Files are made aside and moved into place when all of them are whole: Ctrl-C leaves nothing behind.

set -eu
unset CDPATH
LC_ALL=C # [a-z] means these letters, and every byte passes
export LC_ALL
root=$(cd -- "$(dirname -- "$0")/.." && pwd -P)

PLATFORMS='docker railway render fly digitalocean heroku kubernetes systemd'

usage() {
    cat <<END
Usage: deploy/quick-deploy.sh [FLAGS]

Asks for what is not given, where there is a terminal.

  --platform NAME        $PLATFORMS
  --primary URL          address of your app
  --backup URL           who answers when it does not; several make a ladder
  --webhook URL          where incidents are told
  --admin-token TOKEN    password of the dashboard at /__failover/; "new" makes one
  --output FOLDER        where to write; default: failover-NAME in this folder
  --name NAME            what the app is called on the platform; default: from the primary's name
  --repository URL       git repository that the platform builds from (digitalocean)
  --image NAME:TAG       image that the cluster runs (kubernetes)
  --no-check             do not look at the addresses first
  --yes                  yes to every question: go on in spite of findings, overwrite, run the platform's tool
  --dry-run              show what would be written and run, and do neither
END
}

# -- speaking

say() { printf '%s\n' "$*" >&2; }
die() {
    say "quick-deploy: $1"
    exit "${2:-2}"
}

staging=''
silent=''
cleanup() {
    [ -z "$staging" ] || rm -rf -- "$staging"
    [ -z "$silent" ] || stty echo 2>/dev/null || :
}
trap cleanup EXIT
trap 'say ""; say "quick-deploy: stopped; nothing was left behind"; exit 130' INT
trap 'exit 143' TERM HUP

# -- flags

platform='' primary='' backup='' webhook='' token='' new_token='' output='' name='' repository='' image=''
yes='' dry='' check=yes
needs() { [ "$2" -ge 2 ] || die "$1 needs a value"; } # FLAG COUNT
while [ $# -gt 0 ]; do
    case $1 in
        --*=*)
            flag=${1%%=*} value=${1#*=}
            shift
            set -- "$flag" "$value" "$@"
            ;;
        *) ;;
    esac
    case $1 in
        --platform) needs "$1" $#; platform=$2; shift 2 ;;
        --primary) needs "$1" $#; primary=$2; shift 2 ;;
        --backup) needs "$1" $#; backup=${backup:+$backup,}$2; shift 2 ;;
        --webhook) needs "$1" $#; webhook=$2; shift 2 ;;
        --admin-token) needs "$1" $#; token=$2; shift 2 ;;
        --output) needs "$1" $#; output=$2; shift 2 ;;
        --name) needs "$1" $#; name=$2; shift 2 ;;
        --repository) needs "$1" $#; repository=$2; shift 2 ;;
        --image) needs "$1" $#; image=$2; shift 2 ;;
        --no-check) check=; shift ;;
        --yes | -y) yes=yes; shift ;;
        --dry-run) dry=yes; shift ;;
        --help | -h) usage; exit 0 ;;
        *) die "there is no flag $1; --help tells which there are" ;;
    esac
done

# -- questions

terminal=''
if [ -t 0 ] && [ -t 2 ]; then terminal=yes; fi

ask() { # QUESTION DEFAULT: the answer is in $answer
    printf '%s%s: ' "$1" "${2:+ [$2]}" >&2
    IFS= read -r answer || { say ""; die "no answer; everything can be given as a flag: --help" 2; }
    answer=${answer:-$2}
}

confirm() { # QUESTION: yes, or the exit code 1
    [ -z "$yes" ] || return 0
    [ -n "$terminal" ] || return 1
    ask "$1 (yes or no)" no
    case $answer in y | Y | yes | Yes | YES) return 0 ;; *) return 1 ;; esac
}

if [ -n "$terminal" ]; then
    [ -n "$platform" ] || { ask "Platform ($PLATFORMS)" docker; platform=$answer; }
    [ -n "$primary" ] || { ask 'Primary, the address of your app' ''; primary=$answer; }
    [ -n "$backup" ] || { ask 'Backup, who answers when it does not (several with commas)' ''; backup=$answer; }
    if [ -z "$webhook" ] && [ -z "$yes" ]; then
        silent=yes
        stty -echo 2>/dev/null || :
        ask 'Webhook, where incidents are told (not shown; empty: nowhere)' ''
        stty echo 2>/dev/null || :
        silent=''
        say ''
        webhook=$answer
    fi
fi

wrong=''
mistake() { say "quick-deploy: $1"; wrong=yes; }

case " $PLATFORMS " in
    *" ${platform:-none given} "*) ;;
    *)
        if [ -z "$platform" ]; then mistake "--platform is missing; one of: $PLATFORMS"
        else mistake "--platform: \"$platform\" is not one of: $PLATFORMS"; fi
        ;;
esac

printable() { [ "$(printf '%s' "$1" | tr -d '\000-\037\177')" = "$1" ]; }

address() { # FLAG VALUE: it must be an address that can be written into any file
    if [ -z "$2" ]; then mistake "$1 is missing; give an address such as https://myapp.com"
    elif ! printable "$2"; then mistake "$1 has a line break or a control character in it"
    else
        case $2 in
            http://?* | https://?*) ;;
            *) mistake "$1 is not an address that starts with http:// or https://" ;;
        esac
    fi
}
address --primary "$primary"
address --backup "$backup"
if [ -n "$webhook" ]; then
    case $webhook in
        *://?*) printable "$webhook" || mistake '--webhook has a line break or a control character in it' ;;
        *) mistake '--webhook is not an address; expected one such as https://hooks.slack.com/services/...' ;;
    esac
fi
if [ "$token" = new ]; then
    token=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    new_token=yes
elif [ -n "$token" ]; then
    case $token in *[!A-Za-z0-9._~+/=-]*) mistake '--admin-token may have letters, digits and . _ ~ + / = - in it' ;; esac
    [ ${#token} -ge 16 ] || mistake '--admin-token is too short; take 16 letters or digits, or the word new'
fi
if [ -z "$name" ]; then
    host=${primary#*://}
    host=${host##*@}
    host=${host%%[/?:]*}
    name=failover-$(printf '%s' "$host" | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9' '-' | tr -s '-' | cut -c 1-20)
    name=${name%-}
else
    case $name in
        [!a-z]* | *[!a-z0-9-]* | *-) mistake "--name: \"$name\" must begin with a letter and have small letters, digits and - in it" ;;
    esac
    [ ${#name} -le 30 ] || mistake '--name may have 30 letters at most'
fi
if [ "$platform" = digitalocean ] && [ -z "$repository" ]; then
    if [ -n "$terminal" ]; then ask 'Git repository that App Platform builds from' ''; repository=$answer; fi
    [ -n "$repository" ] || mistake '--repository is missing; App Platform builds from a git repository, such as https://github.com/YOU/failover.git'
fi
if [ "$platform" = kubernetes ] && [ -z "$image" ]; then
    if [ -n "$terminal" ]; then ask 'Image that the cluster runs (you build and push it)' ''; image=$answer; fi
    [ -n "$image" ] || mistake '--image is missing; the cluster runs an image that you build and push, such as registry.example.com/failover:1'
fi
case $image in
    '') ;;
    *[!A-Za-z0-9./:_-]* | [./:_-]* | *[./:_-]) mistake "--image: \"$image\" is not the name of an image" ;;
    *:*) case ${image##*:} in */*) image=$image:latest ;; esac ;;
    *) image=$image:latest ;;
esac
if [ -n "$repository" ]; then
    printable "$repository" || mistake '--repository has a line break or a control character in it'
fi
output=${output:-failover-$platform}
case $output in -*) output=./$output ;; esac
if [ -e "$output" ] && [ ! -d "$output" ]; then mistake "--output: $output is a file"; fi
if [ ! -d "$(dirname -- "$output")" ]; then mistake "--output: the folder $(dirname -- "$output") does not exist"; fi
[ -f "$root/Dockerfile" ] || mistake "there is no Dockerfile in $root; run this from a clone of Failover"
[ -z "$wrong" ] || exit 2

# -- looking at the addresses

# What it is told is told in the environment: flags are seen by everybody on this machine.
if command -v failover >/dev/null 2>&1; then failover=failover
elif [ -x "$root/failover" ]; then failover=$root/failover
else failover=''; fi

if [ -z "$check" ]; then
    say 'The addresses are not looked at, as you said.'
elif [ -z "$failover" ]; then
    say 'The addresses are not looked at: the command failover is not here.'
else
    say 'Looking at the addresses:'
    code=0
    FAILOVER_PRIMARY=$primary FAILOVER_BACKUP=$backup FAILOVER_WEBHOOK_URL=$webhook FAILOVER_LISTEN=127.0.0.1:0 \
        FAILOVER_STATE_DIR=memory FAILOVER_CONFIG='' "$failover" check >&2 || code=$?
    case $code in
        0) ;;
        1) confirm 'Something fails. Go on all the same?' || die 'something fails, see above; --no-check goes on all the same' 1 ;;
        2) exit 2 ;;
        *) die "failover check ended with exit code $code; --no-check goes on without it" 1 ;;
    esac
fi

# -- escaping

json() { printf '"'; printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; printf '"'; }    # also YAML and TOML
shell() { printf "'"; printf '%s' "$1" | sed "s/'/'\\\\''/g"; printf "'"; }
dotenv() { printf "'"; printf '%s' "$1" | sed "s/'/\\\\'/g"; printf "'"; }             # as Docker Compose reads it
unitenv() { printf '"'; printf '%s' "$1" | sed 's/[\\"$`]/\\&/g'; printf '"'; }        # as systemd reads it

# An address with a login or a query in it is a secret too.
is_secret() {
    case $1 in *\?*) return 0 ;; esac
    case ,$1 in *,http://*@* | *,https://*@*) return 0 ;; esac
    return 1
}

plain='' secret=''
each() { # COMMAND: call it with name and value of each variable that is set
    "$1" PRIMARY_URL "$primary"
    "$1" BACKUP_URL "$backup"
    [ -z "$webhook" ] || "$1" WEBHOOK_URL "$webhook"
    [ -z "$token" ] || "$1" FAILOVER_ADMIN_TOKEN "$token"
}
sort_out() {
    case $1 in
        WEBHOOK_URL | FAILOVER_ADMIN_TOKEN) secret="$secret $1" ;;
        *) if is_secret "$2"; then secret="$secret $1"; else plain="$plain $1"; fi ;;
    esac
}
each sort_out
value_of() {
    case $1 in
        PRIMARY_URL) printf '%s' "$primary" ;;
        BACKUP_URL) printf '%s' "$backup" ;;
        WEBHOOK_URL) printf '%s' "$webhook" ;;
        FAILOVER_ADMIN_TOKEN) printf '%s' "$token" ;;
    esac
}

# -- files

parent=$(dirname -- "$output")
[ -z "$dry" ] || parent=${TMPDIR:-/tmp}
parent=$(cd -- "$parent" && pwd -P)
staging=$(mktemp -d "$parent/.quick-deploy.XXXXXX") || die "cannot write into $parent" 1
made=$staging/made
mkdir -- "$made"
commands=$staging/commands
: >"$commands"

run() { printf '%s\n' "$1" >>"$commands"; }

code_too() {
    cp -- "$root/Dockerfile" "$root/.dockerignore" "$root/pyproject.toml" "$root/constraints.txt" "$root/README.md" \
        "$root/LICENSE" "$made/"
    cp -R -- "$root/src" "$made/src"
    find "$made/src" -name __pycache__ -prune -exec rm -rf -- {} +
}

# In a file of ours, the line that begins with START becomes LINE, or goes where LINE is empty.
edit() { # FILE START LINE
    START=$2 LINE=$3 awk '
        { text = $0; sub(/^[ ]+/, "", text) }
        index(text, ENVIRON["START"]) != 1 { print; next }
        { found = 1; indent = substr($0, 1, length($0) - length(text)) }
        ENVIRON["LINE"] != "" { print indent ENVIRON["LINE"] }
        END { exit !found }' "$1" >"$staging/edited" || die "$1 has no line that begins with $2" 1
    cat -- "$staging/edited" >"$1"
}

# Only its owner may read it, from its first byte on.
guarded() { (umask 077 && : >"$1"); }

write_env() { # NAME VALUE, into $made/$env_file in the manner of $quoting
    printf '%s=%s\n' "$1" "$("$quoting" "$2")" >>"$made/$env_file"
}

case $platform in
    docker)
        tool=docker
        code_too
        cp -- "$root/compose.yaml" "$made/"
        env_file=.env quoting=dotenv
        # Compose takes a quote behind a backslash for no end, and there is no sign for the backslash itself.
        for one in $plain $secret; do
            case $(value_of "$one") in
                *\\ | *\\\'*) die "$one has a backslash at its end or before a quote; write it as %5C" ;;
                *) ;;
            esac
        done
        guarded "$made/.env"
        each write_env
        printf '.env\n' >"$made/.gitignore"
        run 'docker compose up --build --detach failover'
        ;;
    railway)
        tool=railway
        code_too
        cp -- "$root/railway.json" "$made/"
        run "railway init --name $name"
        line="railway add --service $name --variables FAILOVER_TRUSTED_PROXIES=private"
        for one in $plain; do line="$line --variables $(shell "$one=$(value_of "$one")")"; done
        for one in $secret; do line="$line --variables \"$one=\$$one\""; done
        run "$line"
        run "railway up --service $name --detach"
        run "railway domain --service $name"
        ;;
    render)
        tool=''
        code_too
        cp -- "$root/render.yaml" "$made/"
        edit "$made/render.yaml" 'name: failover' "name: $name"
        for one in $plain; do
            edit "$made/render.yaml" "- { key: $one," "- { key: $one, value: $(json "$(value_of "$one")") }"
        done
        run "git init --quiet && git add --all && git commit --quiet --message Failover"
        run '# Push it to a repository of yours, then New > Blueprint at https://dashboard.render.com'
        for one in $secret; do
            edit "$made/render.yaml" "- { key: $one," "- { key: $one, sync: false }"
            run "# Render asks for $one there"
        done
        ;;
    fly)
        tool=fly
        if ! command -v fly >/dev/null 2>&1 && command -v flyctl >/dev/null 2>&1; then tool=flyctl; fi
        code_too
        cp -- "$root/fly.toml" "$made/"
        edit "$made/fly.toml" 'app = ' "app = $(json "$name")"
        for one in PRIMARY_URL BACKUP_URL; do
            case " $plain " in
                *" $one "*) line="$one = $(json "$(value_of "$one")")" ;;
                *) line='' ;;
            esac
            edit "$made/fly.toml" "$one = " "$line"
        done
        run "$tool apps create $name"
        if [ -n "$secret" ]; then
            line=''
            for one in $secret; do line="$line \"$one=\$$one\""; done
            run "printf '%s\\n'$line | $tool secrets import --stage"
        fi
        run "$tool deploy --ha=false"
        run "$tool ssh console --command 'chown 10001 /var/lib/failover'"
        run "$tool apps restart $name"
        ;;
    digitalocean)
        tool=doctl
        code_too
        mkdir -- "$made/.do"
        # The command takes what the deploy button has under `spec:`.
        sed -n '/^spec:/,$ { /^spec:/d; s/^  //; p; }' "$root/.do/deploy.template.yaml" >"$made/.do/app.yaml"
        spec=$made/.do/app.yaml
        edit "$spec" 'name: failover' "name: $name"
        edit "$spec" 'repo_clone_url: ' "repo_clone_url: $(json "$repository")"
        for one in PRIMARY_URL BACKUP_URL WEBHOOK_URL FAILOVER_ADMIN_TOKEN; do
            case " $plain " in
                *" $one "*) line="- { key: $one, scope: RUN_TIME, value: $(json "$(value_of "$one")") }" ;;
                *) line='' ;;
            esac
            edit "$spec" "- { key: $one," "$line"
        done
        for one in $secret; do
            case $(value_of "$one") in
                *[\"\\]*) die "$one has a quote or a backslash in it; write them as %22 and %5C" ;;
                *) ;;
            esac
        done
        run '# Push this folder to the repository that .do/app.yaml names: App Platform builds from there.'
        if [ -z "$secret" ]; then
            run 'doctl apps create --spec .do/app.yaml'
        else
            # Added to the list of variables, which ends the file, on its way to the command.
            line='{ cat .do/app.yaml'
            for one in $secret; do
                line="$line; printf '      - { key: $one, scope: RUN_TIME, type: SECRET, value: \"%s\" }\\n' \"\$$one\""
            done
            run "$line; } | doctl apps create --spec -"
        fi
        ;;
    heroku)
        tool=heroku
        code_too
        cp -- "$root/heroku.yml" "$root/app.json" "$made/"
        run "git init --quiet --initial-branch=main && git add --all && git commit --quiet --message Failover"
        run "heroku create $name --stack=container"
        line="heroku config:set --app $name FAILOVER_TRUSTED_PROXIES=private FAILOVER_DRAIN_TIMEOUT=20s"
        for one in $plain; do line="$line $(shell "$one=$(value_of "$one")")"; done
        for one in $secret; do line="$line \"$one=\$$one\""; done
        run "$line"
        run 'git push heroku main'
        run "heroku ps:type basic --app $name"
        ;;
    kubernetes)
        tool=kubectl
        cp -- "$root"/deploy/k8s/*.yaml "$made/"
        file=$made/kustomization.yaml
        edit "$file" 'newName: ' "newName: $(json "${image%:*}")"
        edit "$file" 'newTag: ' "newTag: $(json "${image##*:}")"
        for one in PRIMARY_URL BACKUP_URL; do
            case " $plain " in
                *" $one "*) line="- $(json "$one=$(value_of "$one")")" ;;
                *) line='' ;;
            esac
            edit "$file" "- $one=" "$line"
        done
        run "# The image first: docker build --tag $image $(shell "$root"), docker push $image"
        if [ -n "$secret" ]; then
            line='kubectl create secret generic failover-secrets --dry-run=client --output=yaml'
            for one in $secret; do line="$line --from-literal=\"$one=\$$one\""; done
            run "$line | kubectl apply --filename=-"
        fi
        run 'kubectl apply --kustomize .'
        ;;
    systemd)
        tool=''
        cp -- "$root/deploy/systemd/failover.service" "$root/deploy/systemd/failover.socket" "$made/"
        env_file=failover.env quoting=unitenv
        guarded "$made/failover.env"
        each write_env
        printf 'failover.env\n' >"$made/.gitignore"
        run "sudo python3 -m venv /opt/failover"
        run "sudo /opt/failover/bin/pip install --constraint $(shell "$root/constraints.txt") $(shell "${root}[charts]")"
        run "sudo install -D -m 0600 failover.env /etc/failover/failover.env"
        run "sudo install -m 0644 failover.service /etc/systemd/system/"
        run "sudo systemctl daemon-reload"
        run "sudo systemctl enable --now failover"
        run "# Port 80, and restarts that refuse nobody: deploy/DEPLOY.md has failover.socket"
        ;;
esac

# -- what comes of it

files() { (cd -- "$made" && find . -type f ! -path './src/*' | sed 's|^\./||' | LC_ALL=C sort); }
tell_commands() {
    case $platform in
        render) ;; # it asks for them in a form
        *) for one in $secret; do printf '  # first, in your shell: export %s=...\n' "$one"; done ;;
    esac
    sed 's/^/  /' "$commands"
}

case $platform in docker | systemd) secret='' ;; *) ;; esac # they stand in the file that only you can read

if [ -n "$dry" ]; then
    printf 'Would write %s:\n' "$output"
    files | while IFS= read -r one; do
        case $one in
            Dockerfile | .dockerignore | pyproject.toml | constraints.txt | README.md | LICENSE) printf '  %s\n' "$one" ;;
            .env | failover.env)
                printf '  %s (only you can read it):\n' "$one"
                sed 's/=.*/=.../; s/^/    | /' "$made/$one"
                ;;
            *)
                printf '  %s:\n' "$one"
                sed 's/^/    | /' "$made/$one"
                ;;
        esac
    done
    [ ! -d "$made/src" ] || printf '  src/\n'
    printf 'Would run there:\n'
    tell_commands
    exit 0
fi

there=''
if [ -d "$output" ]; then
    # A folder may hold more than files of ours; what is asked about is what would be another afterwards.
    there=$(files | while IFS= read -r one; do
        if [ -e "$output/$one" ] && ! cmp -s -- "$made/$one" "$output/$one"; then printf ' %s' "$one"; fi
    done)
    if [ -d "$made/src" ] && [ -e "$output/src" ] && ! diff -r -x __pycache__ "$made/src" "$output/src" >/dev/null 2>&1; then
        there="$there src"
    fi
    if [ -n "$there" ]; then
        say "In $output there is already:$there"
        confirm 'Overwrite it?' || die 'nothing was written; --yes overwrites, --output writes elsewhere' 1
    fi
fi

trap '' INT TERM HUP
if [ ! -d "$output" ]; then
    mv -- "$made" "$output"
else
    if [ -d "$made/src" ]; then
        if [ -e "$output/src" ]; then mv -- "$output/src" "$staging/old"; fi
        mv -- "$made/src" "$output/src"
    fi
    files | while IFS= read -r one; do
        mkdir -p -- "$(dirname -- "$output/$one")"
        mv -f -- "$made/$one" "$output/$one"
    done
fi
trap 'say ""; say "quick-deploy: stopped; the folder is whole, what the platform was told is not"; exit 130' INT
trap 'exit 143' TERM HUP

printf 'Written: %s\n' "$output"
[ -z "$token" ] || [ -z "$new_token" ] || printf 'Password of the dashboard, told once: %s\n' "$token"
if [ -n "$tool" ] && command -v "$tool" >/dev/null 2>&1; then
    printf 'To be run there:\n'
    tell_commands
    if confirm "Run it now with $tool?"; then
        for one in $secret; do export "$one=$(value_of "$one")"; done
        cd -- "$output"
        while IFS= read -r line <&3; do
            case $line in '#'*) printf '%s\n' "$line"; continue ;; esac
            printf '+ %s\n' "$line"
            sh -e -c "$line" || die "this failed: $line" 1
        done 3<"$commands"
        printf 'Done. failover state, or /__failover/state of its address, says who serves.\n'
        exit 0
    fi
fi
printf 'Next, in %s:\n' "$output"
tell_commands
