#!/bin/sh
exec "${srcdir:-$(dirname "$0")/../..}/tests/model/run.sh" condition
