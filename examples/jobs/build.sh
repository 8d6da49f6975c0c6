#!/bin/sh
# Compiles the example jobs against a Flink distribution: build.sh FLINK_HOME OUT_JAR
# A jar built against Flink 1.20 also runs on 2.x. Needs a JDK of 11 or later; no Maven.
set -eu
flink_home=${1:?usage: build.sh FLINK_HOME OUT_JAR}
out_jar=${2:?usage: build.sh FLINK_HOME OUT_JAR}
here=$(cd "$(dirname "$0")" && pwd)
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT

javac --release 11 -proc:none -Xlint:all,-options,-classfile,-serial,-path,-try -cp "$flink_home/lib/*" -d "$classes" "$here"/src/drey/examples/*.java
jar --create --file "$out_jar" -C "$classes" .
