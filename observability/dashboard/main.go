// Command dashboard prints the dashboard for Grafana, ../dashboard.json:
//
//	go run . >../dashboard.json
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	grid "github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	content, err := build()
	if err == nil {
		_, err = os.Stdout.Write(content)
	}
	if err != nil {
		log.Fatal(err)
	}
}

const source = "${datasource}"

func from() common.DataSourceRef {
	kind, uid := "prometheus", source
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}

// build puts the rows together.
func build() ([]byte, error) {
	b := dashboard.NewDashboardBuilder("cdc").Uid("cdc").Tags([]string{"cdc", "postgresql"}).Refresh("30s").Time("now-3h", "now").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(slots())
	for _, r := range rows {
		b = b.WithRow(dashboard.NewRowBuilder(r.title))
		for i := range r.panels {
			b = b.WithPanel(r.panels[i].draw(&r.panels[i]))
		}
	}
	built, err := b.Build()
	if err != nil {
		return nil, err
	}
	content, err := json.MarshalIndent(built, "", " ")
	return append(content, '\n'), err
}

// slots that are there, of clients, relays and servers.
func slots() cog.Builder[dashboard.VariableModel] {
	query := "label_values({__name__=~\"cdc_.*\"}, slot)"
	return dashboard.NewQueryVariableBuilder("slot").Label("Slot").Datasource(from()).Query(dashboard.StringOrMap{String: &query}).
		Multi(true).IncludeAll(true).AllValue(".*").Refresh(dashboard.VariableRefreshOnTimeRangeChanged)
}

// drawing is how a panel looks.
type drawing func(*panel) cog.Builder[dashboard.Panel]

func number(p *panel) cog.Builder[dashboard.Panel] {
	b := stat.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(from()).Height(4).Span(4)
	for i := range p.queries {
		b = b.WithTarget(p.queries[i].target())
	}
	return b
}

func lines(p *panel) cog.Builder[dashboard.Panel] {
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(from()).Height(8).Span(8).Min(0)
	for i := range p.queries {
		b = b.WithTarget(p.queries[i].target())
	}
	return b
}

// heat is for the buckets of a histogram.
func heat(p *panel) cog.Builder[dashboard.Panel] {
	b := heatmap.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(from()).Height(8).Span(8).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit(p.unit)).Calculate(false)
	for i := range p.queries {
		b = b.WithTarget(p.queries[i].target().Format(prometheus.PromQueryFormatHeatmap))
	}
	return b
}

func table(p *panel) cog.Builder[dashboard.Panel] {
	b := grid.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(from()).Height(8).Span(8)
	for i := range p.queries {
		b = b.WithTarget(p.queries[i].target().Format(prometheus.PromQueryFormatTable).Instant())
	}
	return b
}

func (q *query) target() *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).Datasource(from())
}
