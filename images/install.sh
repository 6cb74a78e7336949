#!/bin/sh
# install.sh ARGUMENT...: `pip install` into /opt/venv with these arguments, prune what no image
# needs, and copy the files that this added to /added. An image made on top of another then holds
# only what is new in it, so that a node keeps one copy of the rest.
set -eu
venv=/opt/venv stamp=/tmp/before-install
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
[ ! -s /run/secrets/pip ] || export PIP_CONFIG_FILE=/run/secrets/pip
[ ! -s /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca

added() { (cd / && find ".$venv" -cnewer "$stamp" "$@"); }

touch "$stamp"
sleep 0.1 # so that no file's time is that of the stamp
[ -d "$venv" ] || python3 -m venv --without-pip "$venv"
python3 -m pip --python "$venv/bin/python" install --quiet --no-cache-dir --no-compile "$@"

# tests, caches, time zones (Python finds the system's), sources of what is compiled, source maps, and
# Bokeh's unminified JavaScript
added -type d \( -name tests -o -name test -o -name __pycache__ -o -path '*/tzdata/zoneinfo' \) \
  -prune -exec rm -rf {} +
added -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.[ch]' -o -name '*.cpp' \
  -o -name '*.hpp' -o -name '*.[ao]' -o -name '*.js.map' -o -name '*.css.map' -o -name '*.d.ts' \) -delete
added -path '*/bokeh/server/static/js/*' -type f ! -name '*.min.js' -delete
# Debug symbols, but not of what the wheel's builder edited to find the libraries it carries: `strip`
# breaks those. They have a search path, or are such libraries. (Some .so are linker scripts.)
added -type f -name '*.so' ! -path '*.libs/*' | while read -r file; do
  case $(readelf --dynamic "/$file" 2>&1) in
    *RPATH* | *RUNPATH* | *"Not an ELF"*) ;;
    *) strip --strip-unneeded "/$file" ;;
  esac
done

rm -rf /added && mkdir /added
added ! -type d -print0 | tar --create --directory=/ --null --files-from=- | tar --extract --directory=/added
