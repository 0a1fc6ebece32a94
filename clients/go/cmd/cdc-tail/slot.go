package main

import (
	"context"
	"errors"
)

func (p *printer) slot(context.Context) error { return errors.New("not yet") }
